// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include "moe_task.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct moe_task {
  void (*body)(void *);
  void *context;
  moe_task *next;
  pid_t process;
  bool done;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t added = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static moe_task *first, *last;
static bool has_thread;

/// A child has neither the thread nor its work.
static void forget(void) {
  pthread_mutex_init(&lock, NULL);
  pthread_cond_init(&added, NULL);
  pthread_cond_init(&ended, NULL);
  first = last = NULL;
  has_thread = false;
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, forget); }

static void *work(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (!first) pthread_cond_wait(&added, &lock);
    moe_task *task = first;
    first = task->next;
    pthread_mutex_unlock(&lock);
    task->body(task->context);
    pthread_mutex_lock(&lock);
    task->done = true;
    pthread_cond_broadcast(&ended);
  }
  return NULL;
}

static bool start(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, NULL) != 0) return false;
  pthread_detach(thread);
  return true;
}

moe_task *moe_task_submit(void (*body)(void *), void *context) {
  pthread_once(&once, watch_forks);
  moe_task *task = calloc(1, sizeof(moe_task));
  if (!task) return NULL;
  *task = (moe_task){.body = body, .context = context, .process = getpid()};
  pthread_mutex_lock(&lock);
  has_thread = has_thread || start();
  bool taken = has_thread;
  if (taken) {
    if (first)
      last->next = task;
    else
      first = task;
    last = task;
    pthread_cond_signal(&added);
  }
  pthread_mutex_unlock(&lock);
  if (taken) return task;
  free(task);
  return NULL;
}

bool moe_task_wait(moe_task *task) {
  bool own = task->process == getpid();
  if (own) {
    pthread_mutex_lock(&lock);
    while (!task->done) pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
  }
  free(task);
  return own;
}
