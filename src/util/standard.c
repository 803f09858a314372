// SPDX-License-Identifier: BSD-2-Clause
#include "util/standard.h"

#include <fcntl.h>
#include <unistd.h>

void standard_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        // open takes the lowest number that is free: this one.
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}
