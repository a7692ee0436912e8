/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CUDA_API_H
#define APIR_CUDA_API_H

/**
 * @file
 * The part of NVIDIA's CUDA driver API that the executor "cuda" calls, found in libcuda.so.1 at run time: nothing of CUDA
 * is needed to build apird, nor to run it on other machines. Names, types and values are those of the driver's binary
 * interface (CUDA Driver API reference, version 12).
 */

#include <stddef.h>

#include "exec_err.h"

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;

enum {
	CUDA_SUCCESS = 0,
	CUDA_ERROR_OUT_OF_MEMORY = 2,
	CUDA_ERROR_NO_DEVICE = 100,
	CUDA_ERROR_NOT_READY = 600,
};

enum {
	CU_CTX_SCHED_SPIN = 0x01,
	CU_STREAM_NON_BLOCKING = 0x1,
	CU_EVENT_DISABLE_TIMING = 0x2,
	CU_MEMHOSTREGISTER_PORTABLE = 0x01,
	CU_MEMHOSTREGISTER_DEVICEMAP = 0x02,
	CU_JIT_ERROR_LOG_BUFFER = 5,
	CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
	CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
	CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
	CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM = 91,
};

/** Each function: name here, name in the library (the version of the interface it has since CUDA 12), parameters. */
#define CUDA_FUNCTIONS(X)                                                                          \
	X(cuInit, "cuInit", (unsigned int flags))                                                  \
	X(cuDriverGetVersion, "cuDriverGetVersion", (int *version))                                \
	X(cuGetErrorName, "cuGetErrorName", (CUresult e, const char **text))                       \
	X(cuGetErrorString, "cuGetErrorString", (CUresult e, const char **text))                   \
	X(cuDeviceGetByPCIBusId, "cuDeviceGetByPCIBusId", (CUdevice * dev, const char *bus))       \
	X(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int *v, int attribute, CUdevice dev))     \
	X(cuDevicePrimaryCtxSetFlags, "cuDevicePrimaryCtxSetFlags_v2",                             \
	  (CUdevice dev, unsigned int flags))                                                      \
	X(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext * ctx, CUdevice dev))   \
	X(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (CUdevice dev))               \
	X(cuCtxSetCurrent, "cuCtxSetCurrent", (CUcontext ctx))                                     \
	X(cuMemHostRegister, "cuMemHostRegister_v2", (void *p, size_t size, unsigned int flags))   \
	X(cuMemHostUnregister, "cuMemHostUnregister", (void *p))                                   \
	X(cuMemAlloc, "cuMemAlloc_v2", (CUdeviceptr * p, size_t size))                             \
	X(cuMemFree, "cuMemFree_v2", (CUdeviceptr p))                                              \
	X(cuMemsetD8Async, "cuMemsetD8Async",                                                      \
	  (CUdeviceptr p, unsigned char v, size_t size, CUstream s))                               \
	X(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2",                                               \
	  (CUdeviceptr to, const void *from, size_t size, CUstream s))                             \
	X(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2",                                               \
	  (void *to, CUdeviceptr from, size_t size, CUstream s))                                   \
	X(cuStreamCreate, "cuStreamCreate", (CUstream * s, unsigned int flags))                    \
	X(cuStreamDestroy, "cuStreamDestroy_v2", (CUstream s))                                     \
	X(cuStreamSynchronize, "cuStreamSynchronize", (CUstream s))                                \
	X(cuStreamQuery, "cuStreamQuery", (CUstream s))                                            \
	X(cuStreamWriteValue32, "cuStreamWriteValue32_v2",                                         \
	  (CUstream s, CUdeviceptr p, unsigned int value, unsigned int flags))                     \
	X(cuModuleLoadDataEx, "cuModuleLoadDataEx",                                                \
	  (CUmodule * m, const void *image, unsigned int nb, int *options, void **values))         \
	X(cuModuleUnload, "cuModuleUnload", (CUmodule m))                                          \
	X(cuModuleGetFunction, "cuModuleGetFunction", (CUfunction * f, CUmodule m, const char *n)) \
	X(cuFuncGetAttribute, "cuFuncGetAttribute", (int *v, int attribute, CUfunction f))         \
	X(cuLaunchKernel, "cuLaunchKernel",                                                        \
	  (CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,       \
	   unsigned int by, unsigned int bz, unsigned int shared, CUstream s, void **params,       \
	   void **extra))

struct cuda_api {
#define CUDA_MEMBER(name, symbol, params) CUresult(*name) params;
	CUDA_FUNCTIONS(CUDA_MEMBER)
#undef CUDA_MEMBER
	int version; /**< of the driver's interface: 1000 * major + 10 * minor */
};

/**
 * The driver, ready for use, or NULL and err: not installed, too old, or no GPU. Loaded once for the process and never
 * unloaded: the driver has threads of its own. Called by one thread at a time.
 */
const struct cuda_api *cuda_api_load(struct exec_err *err);

/** "name: what it means" in the driver's words. A pointer into thread-local memory, valid until the thread's next call. */
const char *cuda_strerror(const struct cuda_api *cu, CUresult e);

#endif /* APIR_CUDA_API_H */
