// SPDX-License-Identifier: Apache-2.0
// Ways to come to a new image.
#pragma once

#include "cause.h"

struct way {
	const char *name;
	// Starts one process that executes argv[0]. Does not wait for its end.
	void (*start)(char **argv);
};

const struct way *way_named(const char *name);

// A copy of the file that has no name.
int copy_to_memfd(const char *name, const char *path);
