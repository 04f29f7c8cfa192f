// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_MPI_H
#define MOE_MPI_H

#include <stdint.h>

#include "moe_functions.h"

#pragma clang assume_nonnull begin

// The part of MPI that is called, for both ABIs at once: MPI-3.1, section 3 and 8.
//
// A handle is a pointer in the family of Open MPI and an int in that of MPICH. As an argument either is the low bits of a
// 64-bit register; as a result, MPICH writes the low four bytes of a zeroed slot of eight. So a 64-bit integer stands for
// both on a little-endian machine. An array of handles would not: none is passed here.

/// A communicator, a type, an error handler or a request.
typedef uint64_t moe_mpi_handle;

/// Room for an MPI_Status (20 to 40 bytes), which nobody reads.
typedef struct moe_mpi_status {
  int64_t opaque[16];
} moe_mpi_status;

/// Room for the texts of `error_string` and `get_library_version`.
enum { MOE_MPI_TEXT = 8192 };

/// `MPI_THREAD_SERIALIZED`: calls come from any thread, one at a time.
enum { MOE_MPI_THREAD_SERIALIZED = 2 };

#define MOE_MPI(F)                                                                                                     \
  F(init_thread, MPI_Init_thread, (void *_Nullable argc, void *_Nullable argv, int required, int *provided))           \
  F(finalize, MPI_Finalize, (void))                                                                                    \
  F(comm_size, MPI_Comm_size, (moe_mpi_handle, int *size))                                                             \
  F(comm_rank, MPI_Comm_rank, (moe_mpi_handle, int *rank))                                                             \
  F(comm_set_errhandler, MPI_Comm_set_errhandler, (moe_mpi_handle, moe_mpi_handle handler))                            \
  F(isend, MPI_Isend,                                                                                                  \
    (const void *buffer, int count, moe_mpi_handle type, int peer, int tag, moe_mpi_handle, moe_mpi_handle *request))  \
  F(irecv, MPI_Irecv,                                                                                                  \
    (void *buffer, int count, moe_mpi_handle type, int peer, int tag, moe_mpi_handle, moe_mpi_handle *request))        \
  F(recv, MPI_Recv,                                                                                                    \
    (void *buffer, int count, moe_mpi_handle type, int peer, int tag, moe_mpi_handle, moe_mpi_status *status))         \
  F(test, MPI_Test, (moe_mpi_handle *request, int *flag, moe_mpi_status *status))                                      \
  F(iprobe, MPI_Iprobe, (int peer, int tag, moe_mpi_handle, int *flag, moe_mpi_status *status))                        \
  F(error_string, MPI_Error_string, (int code, char *text, int *length))                                               \
  F(get_library_version, MPI_Get_library_version, (char *text, int *length))

/// The functions of MPI; each returns 0 when all is well.
typedef struct moe_mpi {
  MOE_MPI(MOE_FUNCTION_FIELD)
} moe_mpi;

/// Returns the first function that the library has not, or null.
const char *_Nullable moe_mpi_load(void *library, moe_mpi *mpi);

#pragma clang assume_nonnull end

#endif
