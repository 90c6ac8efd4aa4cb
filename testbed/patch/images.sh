# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The patched kernel's images, one per version of bpf_thp_ops. Sourced after lib.sh.
#
#   IMAGES=(v12 v9 v7)
#   get_images       builds what is missing; then $images/VERSION/ has
#                    bzImage, vmlinux.btf and config
#
# One tree and one build directory serve all of them: from one version to the
# next the kernel compiles a few files of mm/ again and is linked again. Both are
# removed in the end (2.5 GB), unless KEEP=1 is set.

IMAGES=(v12 v9 v7)
# shellcheck disable=SC2034  # for patched
IMAGE_PACKAGES=(bc bison flex libssl-dev)

# One directory per source package, patch and configuration
images_key() {
	cat "$WORKDIR/source/packages" "$HERE"/patch/[0-9]*.patch \
		"$HERE/patch/testbed_defconfig" | sha256sum | cut -c 1-12
}

unpack_tree() {
	local dir=$1 patch
	tar -C "$dir" --strip-components=1 -xf "$(source_archive)"
	for patch in "$HERE"/patch/[0-9]*.patch; do
		echo "$patch"
		patch -d "$dir" -p1 --fuzz=0 <"$patch"
	done
}

# build_image TREE BUILD VERSION DIR
build_image() {
	local tree=$1 build=$2 version=$3 dir=$4
	mkdir -p "$build"
	{
		cat "$HERE/patch/testbed_defconfig"
		echo "CONFIG_BPF_THP_${version^^}=y"
	} >"$build/.config"
	make -C "$tree" O="$build" olddefconfig
	make -C "$tree" O="$build" -j"$(nproc)" bzImage
	objcopy -O binary -j .BTF "$build/vmlinux" "$dir/vmlinux.btf"
	cp "$build/.config" "$dir/config"
	cp "$build/arch/x86/boot/bzImage" "$dir/bzImage"
}

images_complete() {
	local version
	for version in "${IMAGES[@]}"; do
		[ -e "$images/$version/.done" ] || return 1
	done
}

get_images() {
	local kernel version
	kernel=$WORKDIR/patched-$(images_key)
	images=$kernel/images
	if images_complete; then
		return
	fi
	once unpack "$kernel/linux" unpack_tree
	for version in "${IMAGES[@]}"; do
		once "kernel-$version" "$images/$version" \
			build_image "$kernel/linux" "$kernel/build" "$version"
	done
	[ "${KEEP-}" = 1 ] || rm -rf "$kernel/linux" "$kernel/build"
}
