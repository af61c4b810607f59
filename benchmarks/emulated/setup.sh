#!/bin/sh
# Builds a Debian of another processor that this machine runs by emulation, for `edgeface bench`.
#
#   setup.sh ARCH ROOT [MIRROR]     ARCH is arm64 or armhf, ROOT a folder that need not exist
#
# Run it again after a restart: it keeps a finished ROOT, and only registers the emulator and mounts
# /proc, which a restart undoes. A ROOT whose making was cut off is made anew.
#
# What runs in ROOT needs the variables of ROOT/etc/environment, as a login on Debian has them.
set -eu

SUITE=bookworm # what Raspberry Pi OS of 2023 to 2025 is made from: Python 3.11, glibc 2.36
FORMATS=/proc/sys/fs/binfmt_misc

fail() {
	echo "setup.sh: $*" >&2
	exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] || fail "found $# arguments, expected: setup.sh arm64|armhf ROOT [MIRROR]"
ARCH=$1
ROOT=$2
MIRROR=${3:-http://deb.debian.org/debian}

PACKAGES=python3,python3-venv,ca-certificates
# The first 20 bytes of a program: ELF, 32 or 64 bits, little-endian; executable or shared object;
# the machine. Source: ELF specification, e_ident, e_type (2 or 3: the mask drops the last bit),
# e_machine (EM_ARM 0x28, EM_AARCH64 0xb7).
# CPU: qemu's own choice, "max", has extensions that no board has and this qemu does not get right:
# with SME, XNNPACK's int8 outputs were off by up to 179 of 256 steps (qemu 7.2, ai-edge-litert 2.3).
case $ARCH in
arm64)
	QEMU=aarch64
	CPU=cortex-a76 # Raspberry Pi 5
	MAGIC='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	;;
armhf)
	QEMU=arm
	CPU=cortex-a7 # Raspberry Pi 2, the oldest with this instruction set
	MAGIC='\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00'
	# PyPI has no 32-bit ARM wheel of numpy: the virtual environment sees Debian's, 1.24
	PACKAGES=$PACKAGES,python3-numpy
	;;
*) fail "ARCH is '$ARCH', expected arm64 or armhf" ;;
esac
MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

[ "$(id -u)" -eq 0 ] || fail "must be root, because of chroot and mount: sudo $0 $*"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
EMULATOR=$(command -v "qemu-$QEMU-static") ||
	fail "qemu-$QEMU-static is missing: apt-get install qemu-user-static"
# Debian's second name of the emulator, under which it understands flag P: a program then sees the
# name it was called by
FLAGS=OF
if [ -x "/usr/libexec/qemu-binfmt/$QEMU-binfmt-P" ]; then
	EMULATOR=/usr/libexec/qemu-binfmt/$QEMU-binfmt-P
	FLAGS=OPF
fi

register() {
	[ -e $FORMATS/register ] || mount -t binfmt_misc binfmt_misc $FORMATS ||
		fail "binfmt_misc cannot be mounted at $FORMATS: the kernel lacks it, or the container may not"
	if [ ! -e "$FORMATS/qemu-$QEMU" ]; then
		printf '%s\n' ":qemu-$QEMU:M::$MAGIC:$MASK:$EMULATOR:$FLAGS" >$FORMATS/register
	fi
	# flag F: the kernel keeps the emulator open, so that ROOT need not hold a copy of it
	grep -q '^flags:.*F' "$FORMATS/qemu-$QEMU" ||
		fail "$FORMATS/qemu-$QEMU is registered without flag F, so a chroot cannot find the emulator;" \
			"echo -1 > $FORMATS/qemu-$QEMU, then run this again"
}

prepare() {
	[ -e "$ROOT/proc/self" ] || mount -t proc proc "$ROOT/proc"
	# /sys is not mounted: the sensors there are this machine's, and a device must not report them.
	# XNNPACK reads these three, and without them takes no operator at all.
	cores=devices/system/cpu
	mkdir -p "$ROOT/sys/$cores"
	for list in kernel_max possible present; do
		cat "/sys/$cores/$list" >"$ROOT/sys/$cores/$list"
	done
	echo "QEMU_CPU=$CPU" >"$ROOT/etc/environment"
}

report() {
	machine=$(QEMU_CPU=$CPU chroot "$ROOT" /usr/bin/python3 -c 'import platform, sys
print(platform.machine(), 64 if sys.maxsize > 2**32 else 32, "bits, Python", platform.python_version())') ||
		fail "$ROOT does not run: see what the emulator says above"
	echo "$ROOT: $1; $machine; $(du -sxm "$ROOT" | cut -f 1) MB"
}

register
if [ -e "$ROOT/etc/edgeface-emulated" ]; then
	found=$(cat "$ROOT/etc/edgeface-emulated")
	[ "$found" = "$ARCH $SUITE" ] || fail "$ROOT is '$found', expected '$ARCH $SUITE': give another folder"
	prepare
	report "was ready"
	exit 0
fi
[ ! -e "$ROOT" ] || rmdir "$ROOT" 2>/dev/null ||
	fail "$ROOT exists and is not made by this script: give another folder"

started=$(date +%s)
PARTIAL=$ROOT.partial
# a cut-off debootstrap leaves its /proc mounted
for inside in proc sys; do
	! mountpoint -q "$PARTIAL/$inside" || umount "$PARTIAL/$inside"
done
rm -rf --one-file-system "$PARTIAL"
mkdir -p "$(dirname "$ROOT")"
debootstrap --variant=minbase --arch="$ARCH" --include="$PACKAGES" "$SUITE" "$PARTIAL" "$MIRROR"
rm -rf "$PARTIAL"/var/cache/apt/archives/*.deb "$PARTIAL"/var/lib/apt/lists/*
# the root reaches the network as this machine does: its name server (which debootstrap copies), and
# the authorities it trusts, which a company's proxy may need
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
	cp /etc/ssl/certs/ca-certificates.crt "$PARTIAL/etc/ssl/certs/ca-certificates.crt"
	printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$PARTIAL/etc/pip.conf"
fi
for inside in proc sys; do
	! mountpoint -q "$PARTIAL/$inside" || umount "$PARTIAL/$inside"
done
mv "$PARTIAL" "$ROOT"
echo "$ARCH $SUITE" >"$ROOT/etc/edgeface-emulated" # last: it says that the making was not cut off
prepare
report "made in $(($(date +%s) - started)) s"
