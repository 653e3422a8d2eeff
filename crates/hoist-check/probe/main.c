/* Beginning, job and words of the probe. */

#define _GNU_SOURCE
#include "probe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_GET_SEALS /* before glibc 2.27 */
#define F_GET_SEALS 1034
#define F_SEAL_SHRINK 2
#endif

static char *put_text(char *at, const char *end, const char *text) {
    static const char digits[] = "0123456789abcdef";
    for (; *text && at + 4 < end; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte > ' ' && byte != '\\' && byte != 0x7f) {
            *at++ = (char)byte;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = digits[byte >> 4];
            *at++ = digits[byte & 15];
        }
    }
    return *text ? NULL : at;
}

void say(struct words *words, const char *key, unsigned count, ...) {
    char *at = put_text(words->next, words->end, key);
    va_list values;
    va_start(values, count);
    for (unsigned index = 0; at && index < count; index++) {
        *at++ = ' ';
        at = put_text(at, words->end, va_arg(values, const char *));
    }
    va_end(values);
    if (at && at + 1 < words->end) {
        *at++ = '\n';
        words->next = at;
    } else {
        *words->next = '\0'; /* hide the beginning of a line that did not fit */
    }
}

void say_number(struct words *words, const char *key, long long number) {
    char text[24];
    snprintf(text, sizeof text, "%lld", number);
    say(words, key, 1, text);
}

void say_hex(struct words *words, const char *key, const char *text, uint64_t number) {
    char hex[24];
    snprintf(hex, sizeof hex, "%llx", (unsigned long long)number);
    say(words, key, 2, text, hex);
}

/* Whether this is the only command of a sandbox of hoist's: process 2 with a sealed slate. What the
 * program does elsewhere, and `kill(-1)` above all, is meant for such a place alone. */
static int is_in_sandbox(void) {
    int seals = fcntl(SLATE_FILE, F_GET_SEALS);
    return getpid() == 2 && getppid() == 1 && seals >= 0 && (seals & F_SEAL_SHRINK);
}

/* Reads the names of the promised symbols into memory of their size. Returns 0 for success. */
static int read_symbols(struct job *job) {
    int file = open("/probe/symbols", O_RDONLY | O_CLOEXEC);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    if (size < 0)
        return -1;
    job->symbols = malloc((size_t)size + 1);
    if (!job->symbols)
        return -1;
    while (job->symbols_bytes < (size_t)size) {
        ssize_t length = pread(file, job->symbols + job->symbols_bytes,
                               (size_t)size - job->symbols_bytes, (off_t)job->symbols_bytes);
        if (length <= 0)
            break;
        job->symbols_bytes += (size_t)length;
    }
    job->symbols[job->symbols_bytes] = '\0';
    close(file);
    return job->symbols_bytes == (size_t)size ? 0 : -1;
}

int proc_is_ours(void) {
    char own[16], link[16];
    snprintf(own, sizeof own, "%d", getpid());
    ssize_t length = readlink("/proc/self", link, sizeof link - 1);
    if (length <= 0)
        return 0;
    link[length] = '\0';
    return strcmp(own, link) == 0;
}

static long take_decimal(const char *text) {
    long number = 0;
    for (; *text >= '0' && *text <= '9' && number < 100000000; text++)
        number = number * 10 + (*text - '0');
    return number;
}

int main(int argc, char **argv) {
    if (argc != 3 || !is_in_sandbox())
        return 2;
    struct job job = {.library = argv[1]};
    job.slate = mmap(NULL, SLATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, SLATE_FILE, 0);
    if (job.slate == MAP_FAILED)
        return 3;
    memcpy(job.nonce, job.slate, NONCE_BYTES);
    memset(job.slate, 0, SLATE_BYTES);
    if (read_symbols(&job) != 0)
        return 8;

    int go[2];
    sigset_t child_ended;
    if (pipe2(go, O_CLOEXEC) != 0)
        return 4;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ended, NULL);
    pid_t supervisor = getpid();
    pid_t subject = fork();
    if (subject < 0)
        return 5;
    if (subject == 0) {
        char byte;
        close(go[1]);
        close(SLATE_FILE);
        sigprocmask(SIG_UNBLOCK, &child_ended, NULL);
        setsid(); /* a library that kills its process group does not reach the supervisor */
        if (read(go[0], &byte, 1) != 1 || getppid() != supervisor)
            _exit(6);
        close(go[0]);
        be_subject(&job);
    }
    munmap(job.slate, SLATE_BYTES);
    close(go[0]);
    char text[SLATE_BYTES - SUPERVISOR_AT] = "";
    struct words words = {text, text + sizeof text};
    watch(subject, go[1], take_decimal(argv[2]), &words);
    kill(-1, SIGKILL); /* what it left behind */
    ssize_t written = pwrite(SLATE_FILE, text, sizeof text, SUPERVISOR_AT);
    _exit(written == (ssize_t)sizeof text ? 0 : 7);
}
