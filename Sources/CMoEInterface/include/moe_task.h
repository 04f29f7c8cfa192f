// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_TASK_H
#define MOE_TASK_H

#include <stdbool.h>

#pragma clang assume_nonnull begin

/// Work for the one thread that does such work, in the order of submission.
typedef struct moe_task moe_task;

/// Null when the system refuses memory or a thread.
moe_task *_Nullable moe_task_submit(void (*body)(void *context), void *context);

/// Waits for the end of the task and frees it. False, at once, for a task of the process that this one was forked from.
bool moe_task_wait(moe_task *task);

#pragma clang assume_nonnull end

#endif
