"""What people ask the registry as a model store, and what they have it do: answers come from a few kilobytes."""
