/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What the loader looks for: two functions by name, all others in the dispatch table of each object. */

#include <string.h>

#include "cl_object.h"
#include "cl_unsupported.h"

/* Exported: the loader finds these by their names. */
#define EXPORTED __attribute__((visibility("default")))
CL_API_ENTRY EXPORTED cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint nb,
								cl_platform_id *platforms,
								cl_uint *nb_ret);
extern EXPORTED __typeof__(clGetExtensionFunctionAddress) clGetExtensionFunctionAddress;

/* clang-format off */
const struct _cl_icd_dispatch cl_dispatch_table = {
	.clGetPlatformIDs = clGetPlatformIDs,
	.clGetPlatformInfo = clGetPlatformInfo,
	.clGetDeviceIDs = clGetDeviceIDs,
	.clGetDeviceInfo = clGetDeviceInfo,
	.clCreateContext = clCreateContext,
	.clCreateContextFromType = clCreateContextFromType,
	.clRetainContext = clRetainContext,
	.clReleaseContext = clReleaseContext,
	.clGetContextInfo = clGetContextInfo,
	.clCreateCommandQueue = clCreateCommandQueue,
	.clRetainCommandQueue = clRetainCommandQueue,
	.clReleaseCommandQueue = clReleaseCommandQueue,
	.clGetCommandQueueInfo = clGetCommandQueueInfo,
	.clSetCommandQueueProperty = clSetCommandQueueProperty,
	.clCreateBuffer = clCreateBuffer,
	.clCreateImage2D = clCreateImage2D,
	.clCreateImage3D = clCreateImage3D,
	.clRetainMemObject = clRetainMemObject,
	.clReleaseMemObject = clReleaseMemObject,
	.clGetSupportedImageFormats = clGetSupportedImageFormats,
	.clGetMemObjectInfo = clGetMemObjectInfo,
	.clGetImageInfo = clGetImageInfo,
	.clCreateSampler = clCreateSampler,
	.clRetainSampler = clRetainSampler,
	.clReleaseSampler = clReleaseSampler,
	.clGetSamplerInfo = clGetSamplerInfo,
	.clCreateProgramWithSource = clCreateProgramWithSource,
	.clCreateProgramWithBinary = clCreateProgramWithBinary,
	.clRetainProgram = clRetainProgram,
	.clReleaseProgram = clReleaseProgram,
	.clBuildProgram = clBuildProgram,
	.clUnloadCompiler = clUnloadCompiler,
	.clGetProgramInfo = clGetProgramInfo,
	.clGetProgramBuildInfo = clGetProgramBuildInfo,
	.clCreateKernel = clCreateKernel,
	.clCreateKernelsInProgram = clCreateKernelsInProgram,
	.clRetainKernel = clRetainKernel,
	.clReleaseKernel = clReleaseKernel,
	.clSetKernelArg = clSetKernelArg,
	.clGetKernelInfo = clGetKernelInfo,
	.clGetKernelWorkGroupInfo = clGetKernelWorkGroupInfo,
	.clWaitForEvents = clWaitForEvents,
	.clGetEventInfo = clGetEventInfo,
	.clRetainEvent = clRetainEvent,
	.clReleaseEvent = clReleaseEvent,
	.clGetEventProfilingInfo = clGetEventProfilingInfo,
	.clFlush = clFlush,
	.clFinish = clFinish,
	.clEnqueueReadBuffer = clEnqueueReadBuffer,
	.clEnqueueWriteBuffer = clEnqueueWriteBuffer,
	.clEnqueueCopyBuffer = clEnqueueCopyBuffer,
	.clEnqueueReadImage = clEnqueueReadImage,
	.clEnqueueWriteImage = clEnqueueWriteImage,
	.clEnqueueCopyImage = clEnqueueCopyImage,
	.clEnqueueCopyImageToBuffer = clEnqueueCopyImageToBuffer,
	.clEnqueueCopyBufferToImage = clEnqueueCopyBufferToImage,
	.clEnqueueMapBuffer = clEnqueueMapBuffer,
	.clEnqueueMapImage = clEnqueueMapImage,
	.clEnqueueUnmapMemObject = clEnqueueUnmapMemObject,
	.clEnqueueNDRangeKernel = clEnqueueNDRangeKernel,
	.clEnqueueTask = clEnqueueTask,
	.clEnqueueNativeKernel = clEnqueueNativeKernel,
	.clEnqueueMarker = clEnqueueMarker,
	.clEnqueueWaitForEvents = clEnqueueWaitForEvents,
	.clEnqueueBarrier = clEnqueueBarrier,
	.clGetExtensionFunctionAddress = clGetExtensionFunctionAddress,
	.clCreateFromGLBuffer = clCreateFromGLBuffer,
	.clCreateFromGLTexture2D = clCreateFromGLTexture2D,
	.clCreateFromGLTexture3D = clCreateFromGLTexture3D,
	.clCreateFromGLRenderbuffer = clCreateFromGLRenderbuffer,
	.clGetGLObjectInfo = clGetGLObjectInfo,
	.clGetGLTextureInfo = clGetGLTextureInfo,
	.clEnqueueAcquireGLObjects = clEnqueueAcquireGLObjects,
	.clEnqueueReleaseGLObjects = clEnqueueReleaseGLObjects,
	.clGetGLContextInfoKHR = clGetGLContextInfoKHR,
	.clSetEventCallback = clSetEventCallback,
	.clCreateSubBuffer = clCreateSubBuffer,
	.clSetMemObjectDestructorCallback = clSetMemObjectDestructorCallback,
	.clCreateUserEvent = clCreateUserEvent,
	.clSetUserEventStatus = clSetUserEventStatus,
	.clEnqueueReadBufferRect = clEnqueueReadBufferRect,
	.clEnqueueWriteBufferRect = clEnqueueWriteBufferRect,
	.clEnqueueCopyBufferRect = clEnqueueCopyBufferRect,
	.clCreateSubDevicesEXT = clCreateSubDevicesEXT,
	.clRetainDeviceEXT = clRetainDeviceEXT,
	.clReleaseDeviceEXT = clReleaseDeviceEXT,
	.clCreateEventFromGLsyncKHR = clCreateEventFromGLsyncKHR,
	.clCreateSubDevices = clCreateSubDevices,
	.clRetainDevice = clRetainDevice,
	.clReleaseDevice = clReleaseDevice,
	.clCreateImage = clCreateImage,
	.clCreateProgramWithBuiltInKernels = clCreateProgramWithBuiltInKernels,
	.clCompileProgram = clCompileProgram,
	.clLinkProgram = clLinkProgram,
	.clUnloadPlatformCompiler = clUnloadPlatformCompiler,
	.clGetKernelArgInfo = clGetKernelArgInfo,
	.clEnqueueFillBuffer = clEnqueueFillBuffer,
	.clEnqueueFillImage = clEnqueueFillImage,
	.clEnqueueMigrateMemObjects = clEnqueueMigrateMemObjects,
	.clEnqueueMarkerWithWaitList = clEnqueueMarkerWithWaitList,
	.clEnqueueBarrierWithWaitList = clEnqueueBarrierWithWaitList,
	.clGetExtensionFunctionAddressForPlatform = clGetExtensionFunctionAddressForPlatform,
	.clCreateFromGLTexture = clCreateFromGLTexture,
	.clCreateFromEGLImageKHR = clCreateFromEGLImageKHR,
	.clEnqueueAcquireEGLObjectsKHR = clEnqueueAcquireEGLObjectsKHR,
	.clEnqueueReleaseEGLObjectsKHR = clEnqueueReleaseEGLObjectsKHR,
	.clCreateEventFromEGLSyncKHR = clCreateEventFromEGLSyncKHR,
	.clCreateCommandQueueWithProperties = clCreateCommandQueueWithProperties,
	.clCreatePipe = clCreatePipe,
	.clGetPipeInfo = clGetPipeInfo,
	.clSVMAlloc = clSVMAlloc,
	.clSVMFree = clSVMFree,
	.clEnqueueSVMFree = clEnqueueSVMFree,
	.clEnqueueSVMMemcpy = clEnqueueSVMMemcpy,
	.clEnqueueSVMMemFill = clEnqueueSVMMemFill,
	.clEnqueueSVMMap = clEnqueueSVMMap,
	.clEnqueueSVMUnmap = clEnqueueSVMUnmap,
	.clCreateSamplerWithProperties = clCreateSamplerWithProperties,
	.clSetKernelArgSVMPointer = clSetKernelArgSVMPointer,
	.clSetKernelExecInfo = clSetKernelExecInfo,
	.clGetKernelSubGroupInfoKHR = clGetKernelSubGroupInfoKHR,
	.clCloneKernel = clCloneKernel,
	.clCreateProgramWithIL = clCreateProgramWithIL,
	.clEnqueueSVMMigrateMem = clEnqueueSVMMigrateMem,
	.clGetDeviceAndHostTimer = clGetDeviceAndHostTimer,
	.clGetHostTimer = clGetHostTimer,
	.clGetKernelSubGroupInfo = clGetKernelSubGroupInfo,
	.clSetDefaultDeviceCommandQueue = clSetDefaultDeviceCommandQueue,
	.clSetProgramReleaseCallback = clSetProgramReleaseCallback,
	.clSetProgramSpecializationConstant = clSetProgramSpecializationConstant,
	.clCreateBufferWithProperties = clCreateBufferWithProperties,
	.clCreateImageWithProperties = clCreateImageWithProperties,
	.clSetContextDestructorCallback = clSetContextDestructorCallback,
	/* Direct3D: not on this system, and not called by anybody */
};
/* clang-format on */

CL_API_ENTRY cl_int CL_API_CALL
clIcdGetPlatformIDsKHR(cl_uint nb, cl_platform_id *platforms, cl_uint *nb_ret)
{
	cl_platform_id p;

	if ((platforms == NULL && nb_ret == NULL) || (nb == 0 && platforms != NULL))
		return CL_INVALID_VALUE;
	p = cl_the_platform();
	if (nb_ret != NULL)
		*nb_ret = p == NULL ? 0 : 1;
	if (p == NULL)
		return CL_PLATFORM_NOT_FOUND_KHR;
	if (platforms != NULL)
		platforms[0] = p;
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clGetPlatformIDs(cl_uint nb, cl_platform_id *platforms, cl_uint *nb_ret)
{
	return clIcdGetPlatformIDsKHR(nb, platforms, nb_ret);
}

/* The extension became part of OpenCL 2.1 as it was. */
CL_API_ENTRY cl_int CL_API_CALL
clGetKernelSubGroupInfoKHR(cl_kernel kernel, cl_device_id device, cl_kernel_sub_group_info param,
			   size_t input_size, const void *input, size_t size, void *value,
			   size_t *size_ret)
{
	return clGetKernelSubGroupInfo(kernel, device, param, input_size, input, size, value,
				       size_ret);
}

struct function {
	const char *name;
	void *fn;
};
#define FUNCTION(name)              \
	{                           \
#name, (void *)name \
	}
#define ALIAS(name, other_name)           \
	{                                 \
#name, (void *)other_name \
	}

/* Of extensions; those of the core are found through the loader, but some programs ask for them here. */
static const struct function functions[] = {
	FUNCTION(clIcdGetPlatformIDsKHR),
	FUNCTION(clGetPlatformInfo),
	FUNCTION(clGetPlatformIDs),
	FUNCTION(clGetExtensionFunctionAddress),
	FUNCTION(clGetExtensionFunctionAddressForPlatform),
	ALIAS(clCreateCommandQueueWithPropertiesKHR, clCreateCommandQueueWithProperties),
	ALIAS(clCreateProgramWithILKHR, clCreateProgramWithIL),
	FUNCTION(clGetKernelSubGroupInfoKHR),
	FUNCTION(clCreateSubDevicesEXT),
	FUNCTION(clRetainDeviceEXT),
	FUNCTION(clReleaseDeviceEXT),
	FUNCTION(clGetGLContextInfoKHR),
};

CL_API_ENTRY void *CL_API_CALL
clGetExtensionFunctionAddress(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strcmp(functions[i].name, name) == 0)
			return functions[i].fn;
	return NULL;
}

CL_API_ENTRY void *CL_API_CALL
clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *name)
{
	return cl_is(platform, CL_KIND_PLATFORM) ? clGetExtensionFunctionAddress(name) : NULL;
}
