// SPDX-License-Identifier: Apache-2.0
#pragma once

struct io_uring_sqe;

// Submits one request through a ring of its own and waits for its end:
// its result, or -1 with errno set.
int uring_submit(const struct io_uring_sqe *request);
