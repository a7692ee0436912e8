/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_GPUBENCH_CUDA_API_H
#define APIR_GPUBENCH_CUDA_API_H

/* What the direct side uses of libcuda.so.1, declared here so that no CUDA toolkit is needed to build. */

#include <stddef.h>
#include <stdint.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;

#define CUDA_SUCCESS			    0
#define CUDA_ERROR_NOT_READY		    600
#define CU_CTX_SCHED_SPIN		    0x01
#define CU_CTX_MAP_HOST			    0x08
#define CU_MEMHOSTREGISTER_PORTABLE	    0x01
#define CU_MEMHOSTREGISTER_DEVICEMAP	    0x02
#define CU_STREAM_NON_BLOCKING		    0x01
#define CU_EVENT_DISABLE_TIMING		    0x02
#define CU_ATTR_HOST_POINTER_FOR_REGISTERED 91

/* X(member, exported name, parameters) */
#define CUDA_FUNCTIONS(X)                                                                         \
	X(init, "cuInit", (unsigned int))                                                         \
	X(driver_version, "cuDriverGetVersion", (int *))                                          \
	X(device_get, "cuDeviceGet", (CUdevice *, int))                                           \
	X(device_name, "cuDeviceGetName", (char *, int, CUdevice))                                \
	X(device_attribute, "cuDeviceGetAttribute", (int *, int, CUdevice))                       \
	X(ctx_create, "cuCtxCreate_v2", (CUcontext *, unsigned int, CUdevice))                    \
	X(ctx_destroy, "cuCtxDestroy_v2", (CUcontext))                                            \
	X(ctx_set, "cuCtxSetCurrent", (CUcontext))                                                \
	X(ctx_sync, "cuCtxSynchronize", (void))                                                   \
	X(host_register, "cuMemHostRegister_v2", (void *, size_t, unsigned int))                  \
	X(host_unregister, "cuMemHostUnregister", (void *))                                       \
	X(host_device_pointer, "cuMemHostGetDevicePointer_v2", (CUdeviceptr *, void *, unsigned)) \
	X(mem_alloc, "cuMemAlloc_v2", (CUdeviceptr *, size_t))                                    \
	X(copy_to_device, "cuMemcpyHtoD_v2", (CUdeviceptr, const void *, size_t))                 \
	X(module_load, "cuModuleLoadData", (CUmodule *, const void *))                            \
	X(module_function, "cuModuleGetFunction", (CUfunction *, CUmodule, const char *))         \
	X(stream_create, "cuStreamCreate", (CUstream *, unsigned int))                            \
	X(event_create, "cuEventCreate", (CUevent *, unsigned int))                               \
	X(event_record, "cuEventRecord", (CUevent, CUstream))                                     \
	X(event_query, "cuEventQuery", (CUevent))                                                 \
	X(error_name, "cuGetErrorName", (CUresult, const char **))                                \
	X(launch, "cuLaunchKernel",                                                               \
	  (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,      \
	   CUstream, void **, void **))

struct cuda_api {
#define CUDA_MEMBER(member, name, parameters) CUresult(*member) parameters;
	CUDA_FUNCTIONS(CUDA_MEMBER)
#undef CUDA_MEMBER
};

extern struct cuda_api cu;
/** Load the driver. @return 0, or -1 after printing why */
int cuda_load(void);
/** Print what failed and why. @return -1 */
int cuda_fail(const char *what, CUresult rc);

/**
 * PTX of an OpenCL program for the NVIDIA device, made fit for cuLaunchKernel(). free() it; NULL after printing
 * why. */
char *ptx_build(const char *source);

#endif /* APIR_GPUBENCH_CUDA_API_H */
