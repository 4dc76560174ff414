#!/bin/sh
# enter.sh ROOT FOLDER COMMAND...: runs COMMAND in FOLDER of the machine at ROOT, as process 1 of namespaces of its own:
# `unshare` has made those for mounts and processes, `ip netns exec` that for the network. BINDS names this host's files
# and folders that are mounted there read-only, one a line. The environment is COMMAND's.
set -eu
root=$1 folder=$2
shift 2

# A mount of its own to pivot into: in a chroot, `unshare --mount` (debootstrap) and every `docker exec` would fail.
mount --bind "$root" "$root"
echo "$BINDS" | while read -r path; do
    [ -n "$path" ] || continue
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root$(dirname "$path")"; touch "$root$path"; fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
unset BINDS

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

cd "$root"
pivot_root . mnt
umount -l /mnt
cd "$folder"
# Not exec: process 1 has to stay what takes in the orphans.
"$@"
