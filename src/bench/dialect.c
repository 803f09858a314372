// SPDX-License-Identifier: BSD-2-Clause
#include "bench/dialect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct dialect dialects[DIALECTS] = {
    {
        .name = "turnpike",
        .path = "/signal",
        .steps = {{NULL, "{\"type\":\"register\",\"name\":\"$me\"}"},
                  {"\"type\":\"registered\"", "{\"type\":\"join\",\"room\":\"$room\"}"},
                  {"\"type\":\"joined\"", NULL}},
        .error = "\"type\":\"error\"",
        .before = "{\"type\":\"message\",\"room\":\"$room\",\"data\":\"",
        .behind = "\"}",
        .tail = 2,
    },
    {
        // PeerServer 1: what comes goes on with src set by the server.
        .name = "peerjs",
        .path = "/peerjs?key=peerjs&id=$me&token=$me&version=1.5.4",
        .steps = {{"\"type\":\"OPEN\"", NULL}},
        .before = "{\"type\":\"OFFER\",\"src\":\"$me\",\"dst\":\"$peer\",\"payload\":\"",
        .behind = "\"}",
        .tail = 2,
    },
    {
        // Engine.IO 4 without polling first: 0 open, 2 ping, 3 pong, 4 message; in it Socket.IO 5:
        // 0 connect, 2 event. The room events are those of contrib/bench/peers/rooms.mjs.
        .name = "socketio",
        .path = "/socket.io/?EIO=4&transport=websocket",
        .steps = {{"0{", "40"}, {"40{", "42[\"join\",\"$room\"]"}, {"42[\"joined\"", NULL}},
        .before = "42[\"message\",\"$room\",\"",
        .behind = "\"]",
        .tail = 2,
        .ping = "2",
        .pong = "3",
    },
};

static size_t put_name(char *out, size_t room, const char **text, uint32_t run, uint32_t index)
{
    static const char *const words[] = {"$me", "$peer", "$room"};
    const uint32_t numbers[] = {index, index ^ 1, index / 2};

    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if (strncmp(*text, words[i], len) != 0)
            continue;
        *text += len;
        int n =
            snprintf(out, room, "%c%08" PRIx32 "-%" PRIu32, i == 2 ? 'r' : 'c', run, numbers[i]);
        return n > 0 && (size_t)n < room ? (size_t)n : 0;
    }
    return 0;
}

size_t dialect_fill(char out[DIALECT_TEXT], const char *text, uint32_t run, uint32_t index)
{
    size_t len = 0;

    while (*text && len < DIALECT_TEXT - 1) {
        if (*text != '$') {
            out[len++] = *text++;
            continue;
        }
        size_t n = put_name(out + len, DIALECT_TEXT - len, &text, run, index);
        if (!n)
            return 0;
        len += n;
    }
    out[len] = '\0';
    return *text ? 0 : len;
}
