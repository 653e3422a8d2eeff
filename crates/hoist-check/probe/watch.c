/* The supervisor's watch over the subject, through ptrace(2).
 *
 * Where tracing is forbidden the subject runs all the same, and places are not known. */

#define _GNU_SOURCE
#include "probe.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PROCESSES_AT_ONCE = 64, /* more are taken for a fork bomb */
    PROGRAMS = 8,           /* programs that are told */
    STACK_WORDS = 2048,     /* words of the stack that are searched for a caller */
    MAPPINGS = 1024,        /* executable mappings that are looked at */
    STOP_MS = 500,          /* how long a process may take to stop */
};

struct watch {
    pid_t subject;
    struct words *words;
    struct timespec deadline;
    pid_t children[PROCESSES_AT_ONCE + 1]; /* child processes at this moment */
    int alive;
    int started; /* child processes in all */
    int programs;
    int sees; /* whether /proc tells of these processes */
    /* Where a signal met the subject that it does not catch, as words of its own. */
    char place[1024];
    struct words place_words;
};

/* Registers of a stopped thread that tell where it is. */
struct where {
    uint64_t pc;
    uint64_t sp;
    long call; /* the system call it is in, or negative */
};

static int read_registers(pid_t thread, struct where *where) {
#if defined(__x86_64__)
    struct user_regs_struct registers;
    struct iovec into = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &into) != 0)
        return -1;
    where->pc = registers.rip;
    where->sp = registers.rsp;
    where->call = (long)registers.orig_rax;
#else
    struct user_regs_struct registers;
    struct iovec into = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &into) != 0)
        return -1;
    where->pc = registers.pc;
    where->sp = registers.sp;
    int call = -1;
    into = (struct iovec){&call, sizeof call};
    ptrace(PTRACE_GETREGSET, thread, NT_ARM_SYSTEM_CALL, &into);
    where->call = call;
#endif
    return 0;
}

/* An executable mapping of a file. */
struct mapping {
    uint64_t start, end, offset;
    char path[256];
};

/* What a process has mapped. */
struct map {
    struct mapping executable[MAPPINGS];
    size_t count;
    uint64_t stack_end; /* of the mapping around the stack pointer */
};

/* Reads hexadecimal digits and steps over the character behind them. */
static uint64_t take_hex(const char **text) {
    uint64_t number = 0;
    for (;; (*text)++) {
        char digit = **text;
        if (digit >= '0' && digit <= '9')
            number = number * 16 + (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            number = number * 16 + (uint64_t)(digit - 'a' + 10);
        else
            break;
    }
    if (**text)
        (*text)++;
    return number;
}

/* The rest of a line behind `count` words. */
static const char *skip_words(const char *text, int count) {
    for (; count > 0; count--) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return text;
}

/* Lines are `start-end modes offset device inode path`. */
static void read_map(pid_t process, uint64_t sp, struct map *map) {
    char file[32], line[4096 + 128];
    snprintf(file, sizeof file, "/proc/%d/maps", process);
    FILE *maps = fopen(file, "re");
    map->count = 0;
    map->stack_end = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        struct mapping *next = &map->executable[map->count];
        const char *at = line;
        line[strcspn(line, "\n")] = '\0';
        next->start = take_hex(&at);
        next->end = take_hex(&at);
        if (sp >= next->start && sp < next->end)
            map->stack_end = next->end;
        if (strlen(at) < 5 || at[2] != 'x' || map->count + 1 >= MAPPINGS)
            continue;
        at += 5;
        next->offset = take_hex(&at);
        snprintf(next->path, sizeof next->path, "%s", skip_words(at, 2));
        map->count++;
    }
    if (maps)
        fclose(maps);
}

static const struct mapping *mapping_at(const struct map *map, uint64_t address) {
    for (size_t index = 0; index < map->count; index++)
        if (address >= map->executable[index].start && address < map->executable[index].end)
            return &map->executable[index];
    return NULL;
}

static int is_of_artifact(const struct mapping *mapping) {
    return mapping && strncmp(mapping->path, "/artifact/", 10) == 0;
}

static void say_address(struct words *words, const char *key, const struct mapping *mapping,
                        uint64_t address) {
    if (mapping && mapping->path[0] == '/')
        say_hex(words, key, mapping->path, address - mapping->start + mapping->offset);
    else
        say_hex(words, key, "-", address);
}

/* Says the nearest word of the stack that leads into the artifact: who called what runs now. */
static void say_caller(struct words *words, const struct map *map, pid_t thread, uint64_t sp) {
    static uint64_t stack[STACK_WORDS];
    size_t bytes = map->stack_end > sp ? map->stack_end - sp : 0;
    if (bytes > sizeof stack)
        bytes = sizeof stack;
    struct iovec local = {stack, bytes}, remote = {(void *)(uintptr_t)sp, bytes};
    ssize_t length = process_vm_readv(thread, &local, 1, &remote, 1, 0);
    for (ssize_t index = 0; index < length / 8; index++) {
        const struct mapping *mapping = mapping_at(map, stack[index]);
        if (is_of_artifact(mapping)) {
            say_address(words, "caller", mapping, stack[index] - 1); /* the call, not what follows */
            return;
        }
    }
}

static const char *call_name(long number) {
    static const struct {
        long number;
        const char *name;
    } calls[] = {
#define CALL(name) {SYS_##name, #name}
        CALL(read), CALL(write), CALL(futex), CALL(nanosleep), CALL(clock_nanosleep),
        CALL(epoll_pwait), CALL(ppoll), CALL(pselect6), CALL(wait4), CALL(waitid), CALL(recvfrom),
        CALL(recvmsg), CALL(sendto), CALL(connect), CALL(accept), CALL(accept4), CALL(flock),
        CALL(fcntl), CALL(openat), CALL(rt_sigsuspend), CALL(rt_sigtimedwait), CALL(sched_yield),
        CALL(msgrcv), CALL(semop), CALL(semtimedop), CALL(fsync), CALL(ioctl),
#ifdef SYS_pause
        CALL(pause), CALL(poll), CALL(select), CALL(epoll_wait), CALL(open),
#endif
    };
    for (size_t index = 0; index < sizeof calls / sizeof calls[0]; index++)
        if (calls[index].number == number)
            return calls[index].name;
    return NULL;
}

/* Says where a stopped thread is. */
static void say_where(const struct watch *watch, struct words *words, pid_t thread) {
    static struct map map;
    struct where where;
    if (!watch->sees || read_registers(thread, &where) != 0)
        return;
    read_map(thread, where.sp, &map);
    const struct mapping *mapping = mapping_at(&map, where.pc);
    say_address(words, "at", mapping, where.pc);
    if (where.call >= 0) {
        const char *name = call_name(where.call);
        if (name)
            say(words, "call", 1, name);
        else
            say_number(words, "call-number", where.call);
    }
    if (!is_of_artifact(mapping))
        say_caller(words, &map, thread, where.sp);
}

/* Whether the process has a handler for a signal, or ignores it. */
static int survives(pid_t process, int signal) {
    char file[32], line[256];
    uint64_t caught = 0;
    snprintf(file, sizeof file, "/proc/%d/status", process);
    FILE *status = fopen(file, "re");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "SigCgt:\t", 8) == 0 || strncmp(line, "SigIgn:\t", 8) == 0) {
            const char *at = line + 8;
            caught |= take_hex(&at);
        }
    }
    if (status)
        fclose(status);
    return (caught >> (signal - 1)) & 1;
}

static int is_of_subject(const struct watch *watch, pid_t thread) {
    char path[64];
    if (!watch->sees)
        return thread == watch->subject;
    snprintf(path, sizeof path, "/proc/%d/task/%d", watch->subject, thread);
    return access(path, F_OK) == 0;
}

/* Notes where a signal meets the subject that may end it. */
static void note_signal(struct watch *watch, pid_t thread, int signal) {
    siginfo_t info;
    if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH ||
        !is_of_subject(watch, thread) || (watch->sees && survives(thread, signal)))
        return;
    watch->place_words = (struct words){watch->place, watch->place + sizeof watch->place};
    memset(watch->place, 0, sizeof watch->place);
    struct words *words = &watch->place_words;
    if (ptrace(PTRACE_GETSIGINFO, thread, NULL, &info) == 0) {
        if (info.si_code <= 0 && info.si_pid != 0)
            say(words, "sent", 1, info.si_pid == watch->subject ? "by-itself" : "by-another");
        else if (signal == SIGSEGV || signal == SIGBUS)
            say_hex(words, "address", info.si_code == SEGV_MAPERR ? "unmapped" : "protected",
                    (uint64_t)(uintptr_t)info.si_addr);
    }
    say_where(watch, words, thread);
}

static void note_program(struct watch *watch, pid_t process) {
    char link[32], program[PATH_MAX];
    snprintf(link, sizeof link, "/proc/%d/exe", process);
    ssize_t length = watch->sees ? readlink(link, program, sizeof program - 1) : 0;
    if (length <= 0 || watch->programs++ >= PROGRAMS)
        return;
    program[length] = '\0';
    say(watch->words, process == watch->subject ? "became" : "program", 1, program);
}

static void note_start(struct watch *watch, pid_t parent, int event) {
    unsigned long child = 0;
    char path[64];
    if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child) != 0)
        return;
    snprintf(path, sizeof path, "/proc/%d/task/%lu", parent, child);
    if (watch->sees ? access(path, F_OK) == 0 : event == PTRACE_EVENT_CLONE)
        return; /* a thread */
    watch->started++;
    if (watch->alive <= PROCESSES_AT_ONCE)
        watch->children[watch->alive++] = (pid_t)child;
}

static void note_end(struct watch *watch, pid_t process) {
    for (int index = 0; index < watch->alive; index++) {
        if (watch->children[index] == process) {
            watch->children[index] = watch->children[--watch->alive];
            return;
        }
    }
}

/* Lets a stopped thread go on, as far as it should. */
static void handle_stop(struct watch *watch, pid_t thread, int status) {
    int event = status >> 16, signal = WSTOPSIG(status), pass_on = 0;
    switch (event) {
    case 0:
        note_signal(watch, thread, signal);
        pass_on = signal;
        break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        note_start(watch, thread, event);
        break;
    case PTRACE_EVENT_EXEC:
        note_program(watch, thread);
        break;
    case PTRACE_EVENT_STOP:
        if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
            ptrace(PTRACE_LISTEN, thread, NULL, NULL); /* it stays stopped, as it would alone */
            return;
        }
        break;
    }
    ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)pass_on);
}

static struct timespec after(struct timespec from, long ms) {
    from.tv_sec += ms / 1000;
    from.tv_nsec += ms % 1000 * 1000000;
    if (from.tv_nsec >= 1000000000) {
        from.tv_sec++;
        from.tv_nsec -= 1000000000;
    }
    return from;
}

static struct timespec now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time;
}

/* The time until a deadline; negative seconds when it is over. */
static struct timespec until(const struct timespec *deadline) {
    struct timespec time = now();
    struct timespec left = {deadline->tv_sec - time.tv_sec, deadline->tv_nsec - time.tv_nsec};
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000;
    }
    return left;
}

/* Waits for the next process to change. Returns it, 0 at the deadline when none has, or -1 when none
 * is left. */
static pid_t next(const struct timespec *deadline, int *status) {
    for (;;) {
        pid_t process = waitpid(-1, status, __WALL | WNOHANG);
        if (process != 0 && !(process < 0 && errno == EINTR))
            return process;
        struct timespec left = until(deadline);
        if (left.tv_sec < 0)
            return 0;
        sigset_t child_ended;
        sigemptyset(&child_ended);
        sigaddset(&child_ended, SIGCHLD);
        sigtimedwait(&child_ended, NULL, &left);
    }
}

/* Stops the subject and says where it is. */
static void say_where_it_hangs(struct watch *watch) {
    struct timespec deadline = after(now(), STOP_MS);
    int status;
    if (ptrace(PTRACE_INTERRUPT, watch->subject, NULL, NULL) != 0)
        return;
    for (pid_t thread; (thread = next(&deadline, &status)) > 0;) {
        if (!WIFSTOPPED(status))
            continue;
        if (thread == watch->subject) {
            say_where(watch, watch->words, thread);
            return;
        }
        handle_stop(watch, thread, status);
        if (until(&deadline).tv_sec < 0)
            return;
    }
}

/* Writes lines that were written before, if there is room for all. */
static void say_again(struct words *words, const char *lines) {
    size_t length = strlen(lines);
    if (length < (size_t)(words->end - words->next)) {
        memcpy(words->next, lines, length);
        words->next += length;
    }
}

static void say_end(struct words *words, const char *how, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    say(words, "end", 2, how, text);
}

void watch(pid_t subject, int go, long limit_ms, struct words *words) {
    static struct watch watch;
    watch.subject = subject;
    watch.words = words;
    watch.sees = proc_is_ours();
    watch.deadline = after(now(), limit_ms);
    int options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, subject, NULL, (void *)(intptr_t)options) != 0)
        say_number(words, "untraced", errno);
    ssize_t gone = write(go, "", 1);
    close(go);

    int status;
    for (pid_t process; gone == 1;) {
        process = next(&watch.deadline, &status);
        if (process == 0) {
            say_end(words, "time", 0);
            say_where_it_hangs(&watch);
            break;
        }
        if (process < 0)
            break;
        if (WIFSTOPPED(status)) {
            handle_stop(&watch, process, status);
            if (watch.alive > PROCESSES_AT_ONCE) {
                say_end(words, "processes", watch.alive);
                break;
            }
            if (until(&watch.deadline).tv_sec < 0) { /* stops without end are no way around it */
                say_end(words, "time", 0);
                say_where_it_hangs(&watch);
                break;
            }
        } else if (process != subject) {
            note_end(&watch, process);
        } else if (WIFSIGNALED(status)) {
            say_end(words, "signal", WTERMSIG(status));
            say_again(words, watch.place);
            break;
        } else {
            say_end(words, "exit", WEXITSTATUS(status));
            break;
        }
    }
    if (watch.started > 0)
        say_number(words, "started", watch.started);
}
