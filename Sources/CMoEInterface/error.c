// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "moe.h"
#include "moe_error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void make_key(void) { pthread_key_create(&key, free); }

void moe_error_set(const char *text) {
  pthread_once(&once, make_key);
  free(pthread_getspecific(key));
  pthread_setspecific(key, strdup(text));
}

const char *moe_last_error(void) {
  pthread_once(&once, make_key);
  const char *text = pthread_getspecific(key);
  return text ? text : "";
}
