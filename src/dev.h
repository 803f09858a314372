// SPDX-License-Identifier: BSD-2-Clause
// `turnpiked --dev`: a server for this machine with an embedded store, one user, and something to
// paste into a browser.
#ifndef TP_DEV_H
#define TP_DEV_H

#include "conf/conf.h"

struct dev;

#define DEV_OVERRIDES 2

// Makes a temporary folder and finds a port for the page. NULL with a message on stderr.
struct dev *dev_new(void);

// What they are, for the configuration: DEV_OVERRIDES of them. Their texts are d's.
void dev_overrides(const struct dev *d, struct conf_override *out);

// Puts a user with a random password into the store. 0 or a negative errno, with a message on
// stderr.
int dev_add_user(struct dev *d, const struct conf *conf);

// Prints the page's URL, the iceServers snippet and how to add users. program: argv[0], beside
// which turnpikectl is looked for.
void dev_greet(const struct dev *d, const struct conf *conf, const char *program);

// Removes the temporary folder. NULL is nothing.
void dev_free(struct dev *d);

#endif
