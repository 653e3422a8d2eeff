/* The process that loads the library and looks at what that changed. */

#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OLD "GLIBC_2.2.5"
__asm__(".symver dlinfo, dlinfo@GLIBC_2.3.3");
#else
#define OLD "GLIBC_2.17"
__asm__(".symver dlinfo, dlinfo@" OLD);
#endif
__asm__(".symver dlopen, dlopen@" OLD);
__asm__(".symver dlsym, dlsym@" OLD);
__asm__(".symver dlerror, dlerror@" OLD);
__asm__(".symver dladdr, dladdr@" OLD);

extern char **environ;

/* Where the subject is; a folder that no library would go to, and that it may write to. */
#define WORK "/tmp/work"

enum {
    LAST_SIGNAL = 64,
    FILES = 1024,   /* open files that are looked at */
    LISTED = 16,    /* names of one kind that are told */
    VARIABLES = 64, /* of the environment that it was given */
    RLIMITS = 16,
    TIMERS = 3,
};

/* Control bits of the floating-point units; the bits that only tell what happened are left out. */
struct floating {
    uint64_t main; /* MXCSR, or FPCR */
    uint64_t x87;
};

static struct floating floating(void) {
    struct floating now = {0, 0};
#if defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t control;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    now.main = mxcsr & ~0x3fu;
    now.x87 = control;
#else
    __asm__ volatile("mrs %0, fpcr" : "=r"(now.main));
#endif
    return now;
}

/* What a library may change in the process that loads it. */
struct state {
    struct sigaction signals[LAST_SIGNAL + 1];
    sigset_t mask;
    struct rlimit limits[RLIMITS];
    struct itimerval timers[TIMERS];
    cpu_set_t processors;
    char folder[PATH_MAX];
    char locale[128];
    unsigned char open[FILES];
    mode_t umask;
    int personality;
    int nice;
};

/* The number that the name of an entry below /proc/self is. */
static int number_of(const char *name) {
    int number = 0;
    for (; *name >= '0' && *name <= '9' && number < 100000000; name++)
        number = number * 10 + (*name - '0');
    return number;
}

static void look_at_files(unsigned char open[FILES]) {
    memset(open, 0, FILES);
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int file = number_of(entry->d_name);
        if (entry->d_name[0] != '.' && file != dirfd(dir) && file < FILES)
            open[file] = 1;
    }
    closedir(dir);
}

static void look(struct state *state) {
    memset(state, 0, sizeof *state);
    for (int signal = 1; signal <= LAST_SIGNAL; signal++)
        sigaction(signal, NULL, &state->signals[signal]);
    sigprocmask(SIG_SETMASK, NULL, &state->mask);
    for (int limit = 0; limit < RLIMITS; limit++)
        getrlimit(limit, &state->limits[limit]);
    for (int timer = 0; timer < TIMERS; timer++)
        getitimer(timer, &state->timers[timer]);
    sched_getaffinity(0, sizeof state->processors, &state->processors);
    if (!getcwd(state->folder, sizeof state->folder))
        strcpy(state->folder, "?");
    const char *locale = setlocale(LC_ALL, NULL);
    snprintf(state->locale, sizeof state->locale, "%s", locale ? locale : "?");
    look_at_files(state->open);
    state->umask = umask(0);
    umask(state->umask);
    state->personality = personality(0xffffffff);
    state->nice = getpriority(PRIO_PROCESS, 0);
}

static void compare_signals(struct words *words, const struct state *old, const struct state *new) {
    for (int signal = 1; signal <= LAST_SIGNAL; signal++) {
        const struct sigaction *before = &old->signals[signal], *after = &new->signals[signal];
        char number[8];
        snprintf(number, sizeof number, "%d", signal);
        if (before->sa_handler != after->sa_handler) {
            Dl_info where;
            if (after->sa_handler == SIG_IGN)
                say(words, "ignored", 1, number);
            else if (after->sa_handler == SIG_DFL)
                say(words, "default", 1, number);
            else if (dladdr((void *)after->sa_handler, &where) && where.dli_fname)
                say(words, "handler", 2, number, where.dli_fname);
            else
                say(words, "handler", 1, number);
        }
        if (sigismember(&old->mask, signal) != sigismember(&new->mask, signal))
            say(words, "blocked", 1, number);
    }
}

static void compare_files(struct words *words, const struct state *old, const struct state *new) {
    int listed = 0;
    for (int file = 0; file < FILES; file++) {
        char number[8], link[32], target[PATH_MAX];
        if (old->open[file] == new->open[file])
            continue;
        snprintf(number, sizeof number, "%d", file);
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        if (!new->open[file])
            say(words, "closed", 1, number);
        else if (listed++ < LISTED)
            say(words, "opened", 2, number, target);
    }
    if (listed > LISTED)
        say_number(words, "opened-more", listed - LISTED);
}

/* The environment before, as texts of our own: the library may write into the strings. */
static char *variables[VARIABLES];

static void remember_variables(void) {
    for (int index = 0; environ && environ[index] && index < VARIABLES; index++)
        variables[index] = strdup(environ[index]);
}

/* The text in `list`, up to `count` long or ended by NULL, that sets the variable that `text` does. */
static const char *setting_like(char **list, int count, const char *text) {
    size_t length = strcspn(text, "=");
    for (int index = 0; list && index < count && list[index]; index++)
        if (strncmp(list[index], text, length) == 0 && list[index][length] == '=')
            return list[index];
    return NULL;
}

static void compare_variables(struct words *words) {
    int listed = 0;
    for (char **now = environ; now && *now && listed < LISTED; now++) {
        const char *before = setting_like(variables, VARIABLES, *now);
        if (!before || strcmp(before, *now) != 0) {
            say(words, "variable", 1, *now);
            listed++;
        }
    }
    for (int index = 0; index < VARIABLES && variables[index]; index++)
        if (!setting_like(environ, INT_MAX, variables[index]))
            say(words, "unset", 1, variables[index]);
}

static void list_folder(struct words *words, const char *key, const char *folder) {
    DIR *dir = opendir(folder);
    int listed = 0;
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) && listed < LISTED;) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(path, WORK) != 0) {
            say(words, key, 2, folder, entry->d_name);
            listed++;
        }
    }
    closedir(dir);
}

static void list_threads(struct words *words) {
    DIR *dir = opendir("/proc/self/task");
    char own[16] = ""; /* by the numbers of /proc, which may be another sandbox's */
    int listed = 0;
    if (!dir)
        return;
    if (readlink("/proc/self", own, sizeof own - 1) < 0)
        own[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[64], name[64] = "?";
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, own) == 0 || listed++ >= LISTED)
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", entry->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = file < 0 ? 0 : read(file, name, sizeof name - 1);
        if (length > 0)
            name[name[length - 1] == '\n' ? length - 1 : length] = '\0';
        if (file >= 0)
            close(file);
        say(words, "thread", 1, name);
    }
    closedir(dir);
    if (listed > LISTED)
        say_number(words, "thread-more", listed - LISTED);
}

static void compare(struct words *words, const struct state *old, const struct state *new) {
    char number[16];
    compare_signals(words, old, new);
    compare_files(words, old, new);
    for (int limit = 0; limit < RLIMITS; limit++)
        if (memcmp(&old->limits[limit], &new->limits[limit], sizeof(struct rlimit)) != 0)
            say_number(words, "rlimit", limit);
    for (int timer = 0; timer < TIMERS; timer++)
        if (new->timers[timer].it_value.tv_sec != 0 || new->timers[timer].it_value.tv_usec != 0)
            say_number(words, "timer", timer);
    if (memcmp(&old->processors, &new->processors, sizeof old->processors) != 0)
        say(words, "affinity", 0);
    if (strcmp(old->folder, new->folder) != 0)
        say(words, "folder", 1, new->folder);
    if (strcmp(old->locale, new->locale) != 0)
        say(words, "locale", 1, new->locale);
    if (old->umask != new->umask) {
        snprintf(number, sizeof number, "%03o", (unsigned)new->umask);
        say(words, "umask", 1, number);
    }
    if (old->personality != new->personality)
        say(words, "personality", 0);
    if (old->nice != new->nice)
        say_number(words, "nice", new->nice);
    compare_variables(words);
    siginfo_t child;
    if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0)
        say(words, "children", 0);
    list_threads(words);
    list_folder(words, "left", "/tmp");
    list_folder(words, "left", WORK);
    list_folder(words, "left", "/dev/shm");
}

static void look_up(struct words *words, const struct job *job, void *handle) {
    struct link_map *map = NULL;
    dlinfo(handle, RTLD_DI_LINKMAP, &map);
    const char *end = job->symbols + job->symbols_bytes;
    for (const char *name = job->symbols; name < end; name += strlen(name) + 1) {
        Dl_info where;
        dlerror();
        void *address = dlsym(handle, name);
        const char *error = dlerror();
        if (error)
            say(words, "missing", 2, name, error);
        else if (map && address && dladdr(address, &where) && where.dli_fname &&
                 strcmp(where.dli_fname, map->l_name) != 0)
            say(words, "elsewhere", 2, name, where.dli_fname);
    }
}

/* The first process to go when memory runs out. */
static void offer_to_the_oom_killer(void) {
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        if (write(file, "1000", 4) < 0) {} /* /proc may be read-only */
        close(file);
    }
}

void be_subject(const struct job *job) {
    static struct state before, after;
    struct words words = {job->slate + NONCE_BYTES, job->slate + SUPERVISOR_AT};
    struct timespec start, end;
    struct job own = *job;

    unsetenv("LD_LIBRARY_PATH"); /* the loader has read it */
    offer_to_the_oom_killer();
    int file = open(own.library, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        say_number(&words, "unreadable", errno);
        _exit(0);
    }
    close(file);
    remember_variables();
    if (mkdir(WORK, 0700) == 0 && chdir(WORK) != 0) {} /* then it stays where it was started */
    look(&before);
    struct floating floating_before = floating();

    say(&words, "phase", 1, "load");
    clock_gettime(CLOCK_MONOTONIC, &start);
    void *handle = dlopen(own.library, RTLD_NOW | RTLD_LOCAL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    struct floating floating_after = floating();
    if (!handle) {
        const char *error = dlerror();
        say(&words, "refused", 1, error ? error : "?");
        _exit(0);
    }
    say_number(&words, "nanoseconds",
               (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec));

    say(&words, "phase", 1, "look-up");
    look_up(&words, &own, handle);

    say(&words, "phase", 1, "compare");
    if (floating_before.main != floating_after.main)
        say_hex(&words, "floating", "main", floating_after.main);
    if (floating_before.x87 != floating_after.x87)
        say_hex(&words, "floating", "x87", floating_after.x87);
    fflush(NULL); /* what it printed is to be seen before the end */
    look(&after);
    compare(&words, &before, &after);

    say(&words, "phase", 1, "end");
    memcpy(own.slate, own.nonce, NONCE_BYTES);
    exit(0);
}
