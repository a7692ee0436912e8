/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_extension.h"

/*
 * What kernels alone use, what adds only flags and queries, and functions that we have. An extension that is not known here may need a
 * function of the host's library, which a program would look for in vain.
 */
static const char *const known[] = {
	"cl_khr_3d_image_writes",
	"cl_khr_async_work_group_copy_fence",
	"cl_khr_byte_addressable_store",
	"cl_khr_create_command_queue",
	"cl_khr_depth_images",
	"cl_khr_device_enqueue_local_arg_types",
	"cl_khr_device_uuid",
	"cl_khr_expect_assume",
	"cl_khr_extended_async_copies",
	"cl_khr_extended_bit_ops",
	"cl_khr_extended_versioning",
	"cl_khr_fp16",
	"cl_khr_fp64",
	"cl_khr_global_int32_base_atomics",
	"cl_khr_global_int32_extended_atomics",
	"cl_khr_icd",
	"cl_khr_il_program",
	"cl_khr_image2d_from_buffer",
	"cl_khr_initialize_memory",
	"cl_khr_int64_base_atomics",
	"cl_khr_int64_extended_atomics",
	"cl_khr_integer_dot_product",
	"cl_khr_local_int32_base_atomics",
	"cl_khr_local_int32_extended_atomics",
	"cl_khr_mipmap_image",
	"cl_khr_mipmap_image_writes",
	"cl_khr_pci_bus_info",
	"cl_khr_priority_hints",
	"cl_khr_select_fprounding_mode",
	"cl_khr_spir",
	"cl_khr_spirv_extended_debug_info",
	"cl_khr_spirv_linkonce_odr",
	"cl_khr_spirv_no_integer_wrap_decoration",
	"cl_khr_srgb_image_writes",
	"cl_khr_subgroup_ballot",
	"cl_khr_subgroup_clustered_reduce",
	"cl_khr_subgroup_extended_types",
	"cl_khr_subgroup_named_barrier",
	"cl_khr_subgroup_non_uniform_arithmetic",
	"cl_khr_subgroup_non_uniform_vote",
	"cl_khr_subgroup_rotate",
	"cl_khr_subgroup_shuffle",
	"cl_khr_subgroup_shuffle_relative",
	"cl_khr_subgroups",
	"cl_khr_throttle_hints",
	"cl_khr_work_group_uniform_arithmetic",
	"cl_amd_device_attribute_query",
	"cl_amd_fp64",
	"cl_amd_media_ops",
	"cl_amd_media_ops2",
	"cl_amd_popcnt",
	"cl_amd_printf",
	"cl_amd_vec3",
	"cl_arm_core_id",
	"cl_arm_integer_dot_product_accumulate_int16",
	"cl_arm_integer_dot_product_accumulate_int8",
	"cl_arm_integer_dot_product_int8",
	"cl_ext_atomic_counters_32",
	"cl_ext_cxx_for_opencl",
	"cl_ext_float_atomics",
	"cl_intel_bfloat16_conversions",
	"cl_intel_device_attribute_query",
	"cl_intel_required_subgroup_size",
	"cl_intel_spirv_media_block_io",
	"cl_intel_spirv_subgroups",
	"cl_intel_split_work_group_barrier",
	"cl_intel_subgroup_local_block_io",
	"cl_intel_subgroups",
	"cl_intel_subgroups_char",
	"cl_intel_subgroups_long",
	"cl_intel_subgroups_short",
	"cl_nv_compiler_options",
	"cl_nv_device_attribute_query",
	"cl_nv_pragma_unroll",
};

bool
cl_extension_known(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && memcmp(known[i], name, len) == 0)
			return true;
	return false;
}

size_t
cl_extension_filter(char *list)
{
	char *from = list, *to = list;

	for (;;) {
		size_t len;

		from += strspn(from, " ");
		len = strcspn(from, " ");
		if (len == 0)
			break;
		if (cl_extension_known(from, len)) {
			if (to != list)
				*to++ = ' ';
			/* what is written never passes what is still to be read */
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = '\0';
	return (size_t)(to - list);
}
