// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// One object: its programs share one ring, one set of counters, one set of settings.
#include "process.h"
#include "iterator.h"
#include "network.h"
#include "dns.h"
#include "file.h"
#include "io_uring.h"
#include "lsm.h"
#include "condemned.h"
#include "trial.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
