#!/bin/sh
# enter.sh ROOT SHARED COMMAND...: COMMAND in the system at ROOT, with this machine's network and SHARED at the same path.
# `unshare` has made the namespaces, for mounts and processes.
set -eu
root=$1 shared=$2
shift 2

# A mount of its own to pivot into: in a chroot every container fails.
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root$shared"
mount --bind "$shared" "$root$shared"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
else
    # Both kinds together, which crun refuses: only the controllers of the old one.
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    for each in /sys/fs/cgroup/*; do
        [ "${each##*/}" != unified ] || continue
        mkdir -p "$root$each"
        mount --bind "$each" "$root$each"
    done
fi
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --rbind /dev "$root/dev"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cd "$root"
pivot_root . mnt
umount -l /mnt
cd /
exec "$@"
