// SPDX-License-Identifier: BSD-2-Clause
// The server of PeerJS as it comes. Arguments: address, port.
"use strict";

const { PeerServer } = require("peer");

const [host, port] = process.argv.slice(2);
PeerServer({ host, port: Number(port), path: "/", concurrent_limit: 1000000 });
