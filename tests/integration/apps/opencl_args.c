/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Arguments of kernels, of every kind, and images where the device has them.
 */

#include <string.h>

#include "opencl_app.h"

#define W 37
#define H 19

static const char source[] =
	"struct pair { int a; long b; };\n"
	"kernel void every(global ulong *out, uchar c, short s, int i, long l, float f, "
	"double_or_float d,\n"
	"	float4 v, uint3 u, struct pair p, global const uint *none, constant uint *k,\n"
	"	local uint *scratch, global const uint *in)\n"
	"{\n"
	"	scratch[0] = k[1];\n"
	"	out[0] = c; out[1] = (ulong)s; out[2] = (ulong)i; out[3] = (ulong)l;\n"
	"	out[4] = as_uint(f); out[5] = (ulong)(d * 4); out[6] = as_uint(v.w);\n"
	"	out[7] = u.z; out[8] = (ulong)p.a; out[9] = (ulong)p.b;\n"
	"	out[10] = none != 0 ? none[0] : 0xdead; out[11] = scratch[0]; out[12] = in[2];\n"
	"}\n";

static const char image_source[] =
	"kernel void turn(read_only image2d_t from, write_only image2d_t to, sampler_t s)\n"
	"{\n"
	"	const int2 at = (int2)(get_global_id(0), get_global_id(1));\n"
	"	uint4 v = read_imageui(from, s, at - 1);\n"
	"	write_imageui(to, at, v.wzyx);\n"
	"}\n";

struct pair {
	cl_int a;
	cl_long b;
};

static void
scalars(cl_command_queue q)
{
	const cl_uint table[3] = {7, 8, 9};
	const struct pair p = {-5, (cl_long)1 << 40};
	const cl_float4 v = {{1, 2, 3, 4.5f}};
	const cl_uint3 u = {{10, 20, 30}};
	const cl_uchar c = 200;
	const cl_short s = -3;
	const cl_int i = -70000;
	const cl_long l = -((cl_long)1 << 50);
	const cl_float f = 0.1f, d = 2.25f;
	const size_t one = 1, zero = 0;
	cl_ulong out[13] = {0},
		 want[13] = {200, (cl_ulong)-3, (cl_ulong)-70000,  (cl_ulong)l, 0, 9, 0,
			     30,  (cl_ulong)-5, (cl_ulong)1 << 40, 0xdead,	8, 9};
	cl_mem result = buffer(CL_MEM_WRITE_ONLY, sizeof(out), NULL), none = NULL;
	cl_mem in = buffer(CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof(table),
			   (void *)(uintptr_t)table);
	cl_program pr = source_program(source);
	cl_kernel k, k2;
	cl_uint nb;
	cl_int err;

	memcpy(&want[4], &f, 4);
	memcpy(&want[6], &v.s[3], 4);
	OK(clBuildProgram(pr, 1, &device, "-Ddouble_or_float=float", NULL, NULL));
	k = clCreateKernel(pr, "every", &err);
	OK(err);
	OK(clGetKernelInfo(k, CL_KERNEL_NUM_ARGS, sizeof(nb), &nb, NULL));
	CHECK(nb == 14);
	OK(clSetKernelArg(k, 0, sizeof(result), &result));
	CODE(clEnqueueNDRangeKernel(q, k, 1, NULL, &one, NULL, 0, NULL, NULL),
	     CL_INVALID_KERNEL_ARGS);
	OK(clSetKernelArg(k, 1, sizeof(c), &c));
	OK(clSetKernelArg(k, 2, sizeof(s), &s));
	OK(clSetKernelArg(k, 3, sizeof(i), &i));
	OK(clSetKernelArg(k, 4, sizeof(l), &l));
	OK(clSetKernelArg(k, 5, sizeof(f), &f));
	OK(clSetKernelArg(k, 6, sizeof(d), &d));
	OK(clSetKernelArg(k, 7, sizeof(v), &v));
	OK(clSetKernelArg(k, 8, sizeof(u), &u));
	OK(clSetKernelArg(k, 9, sizeof(p), &p));
	OK(clSetKernelArg(k, 10, sizeof(none), &none));
	OK(clSetKernelArg(k, 11, sizeof(in), &in));
	OK(clSetKernelArg(k, 12, 64, NULL));
	OK(clSetKernelArg(k, 13, sizeof(in), &in));
	CODE(clSetKernelArg(k, 14, sizeof(in), &in), CL_INVALID_ARG_INDEX);
	CODE(clSetKernelArg(k, 3, 2, &i), CL_INVALID_ARG_SIZE);
	k2 = clCloneKernel(k, &err);
	OK(err);
	for (unsigned int n = 0; n < 2; n++) {
		memset(out, 0, sizeof(out));
		OK(clEnqueueNDRangeKernel(q, n ? k2 : k, 1, NULL, &one, NULL, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(q, result, CL_TRUE, 0, sizeof(out), out, 0, NULL, NULL));
		show("arguments", out, sizeof(out));
		CHECK(memcmp(out, want, sizeof(out)) == 0);
		/* NULL said with a NULL pointer, too */
		OK(clSetKernelArg(k2, 10, sizeof(none), NULL));
	}
	/* no longer NULL */
	OK(clSetKernelArg(k, 10, sizeof(in), &in));
	OK(clEnqueueTask(q, k, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(q, result, CL_TRUE, 0, sizeof(out), out, 0, NULL, NULL));
	CHECK(out[10] == 7);
	/* not what the specification asks for, but what this device answers */
	printf("local size 0: %d\n",
	       clEnqueueNDRangeKernel(q, k, 1, NULL, &one, &zero, 0, NULL, NULL));
	OK(clFinish(q));
	OK(clReleaseKernel(k));
	OK(clReleaseKernel(k2));
	OK(clReleaseProgram(pr));
	OK(clReleaseMemObject(in));
	OK(clReleaseMemObject(result));
}

static void
images(cl_command_queue q)
{
	const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = W, .image_height = H};
	const size_t origin[3] = {0, 0, 0}, region[3] = {W, H, 1}, global[2] = {W, H};
	static uint8_t in[H][W][4], out[H][W][4];
	cl_program pr = source_program(image_source);
	cl_mem from, to, linear;
	cl_sampler s;
	cl_kernel k;
	size_t pitch;
	uint8_t *m;
	cl_int err;

	pattern(in, sizeof(in), 3);
	from = clCreateImage(ctx, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, &format, &desc, in,
			     &err);
	OK(err);
	to = clCreateImage(ctx, CL_MEM_READ_WRITE, &format, &desc, NULL, &err);
	OK(err);
	s = clCreateSampler(ctx, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &err);
	OK(err);
	OK(clBuildProgram(pr, 0, NULL, NULL, NULL, NULL));
	k = clCreateKernel(pr, "turn", &err);
	OK(err);
	OK(clSetKernelArg(k, 0, sizeof(from), &from));
	OK(clSetKernelArg(k, 1, sizeof(to), &to));
	OK(clSetKernelArg(k, 2, sizeof(s), &s));
	OK(clEnqueueNDRangeKernel(q, k, 2, NULL, global, NULL, 0, NULL, NULL));
	OK(clEnqueueReadImage(q, to, CL_TRUE, origin, region, 0, 0, out, 0, NULL, NULL));
	show("image", out, sizeof(out));
	for (size_t y = 0; y < H; y++)
		for (size_t x = 0; x < W; x++)
			for (size_t c = 0; c < 4; c++)
				CHECK(out[y][x][c] == in[y ? y - 1 : 0][x ? x - 1 : 0][3 - c]);
	/* image to buffer, mapped image, written image */
	linear = buffer(CL_MEM_READ_WRITE, sizeof(in), NULL);
	OK(clEnqueueCopyImageToBuffer(q, from, linear, origin, region, 0, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(q, linear, CL_TRUE, 0, sizeof(out), out, 0, NULL, NULL));
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	pattern(in, sizeof(in), 4);
	OK(clEnqueueWriteImage(q, to, CL_TRUE, origin, region, 0, 0, in, 0, NULL, NULL));
	m = clEnqueueMapImage(q, to, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, origin, region, &pitch,
			      NULL, 0, NULL, NULL, &err);
	OK(err);
	CHECK(pitch >= W * 4);
	for (size_t y = 0; y < H; y++)
		CHECK(memcmp(m + y * pitch, in[y], W * 4) == 0);
	m[pitch + 1] = in[1][0][1] = 0x42;
	OK(clEnqueueUnmapMemObject(q, to, m, 0, NULL, NULL));
	memset(out, 0, sizeof(out));
	OK(clEnqueueReadImage(q, to, CL_TRUE, origin, region, 0, 0, out, 0, NULL, NULL));
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(pr));
	OK(clReleaseSampler(s));
	OK(clReleaseMemObject(linear));
	OK(clReleaseMemObject(from));
	OK(clReleaseMemObject(to));
}

void
arguments(void)
{
	cl_command_queue q = queue(0);
	cl_bool has;

	scalars(q);
	OK(clGetDeviceInfo(device, CL_DEVICE_IMAGE_SUPPORT, sizeof(has), &has, NULL));
	if (has)
		images(q);
	OK(clReleaseCommandQueue(q));
}
