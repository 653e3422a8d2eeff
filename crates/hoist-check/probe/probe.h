/* The load probe: a small program that loads one library where that can do no harm.
 *
 * It is started in a sandbox of its own as `probe LIBRARY LIMIT_MS`, with the names of promised
 * symbols in /probe/symbols, each ended by a NUL, and with a slate as file 3 (see hoist-sandbox).
 *
 *   supervisor ──fork──▶ subject: loads the library, looks at what that changed
 *       ╰── traces it: sees each signal, process and program before it takes effect
 *
 * The supervisor never maps the library, and the subject has no signal handler of ours: what it
 * finds changed, the library changed.
 *
 * The slate begins with a nonce, which the subject takes away and puts back when all went well.
 * Then come the subject's words, and from SUPERVISOR_AT on those of the supervisor: lines of
 * `key value…`, where a value has no space, control character or backslash but as \xHH.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>
#include <sys/types.h>

enum {
    SLATE_FILE = 3,
    SLATE_BYTES = 16384,
    NONCE_BYTES = 32,
    SUPERVISOR_AT = 12288,
};

/* Lines that are being written; what does not fit is left out, whole lines at a time. */
struct words {
    char *next;
    char *end;
};

/* Writes `key`, then each of `count` values, as one line. */
void say(struct words *words, const char *key, unsigned count, ...);

/* Writes `key` and a number, in decimal or in hexadecimal. */
void say_number(struct words *words, const char *key, long long number);
void say_hex(struct words *words, const char *key, const char *text, uint64_t number);

/* Whether /proc shows this sandbox, and not the machine around it under other numbers. */
int proc_is_ours(void);

/* What is to be loaded. */
struct job {
    const char *library;
    char *symbols;
    size_t symbols_bytes;
    char nonce[NONCE_BYTES];
    char *slate;
};

/* Loads the library and ends the process. */
__attribute__((noreturn)) void be_subject(const struct job *job);

/* Watches the subject until it ends, or for `limit_ms`, and writes how it ended. */
void watch(pid_t subject, int go, long limit_ms, struct words *words);

#endif
