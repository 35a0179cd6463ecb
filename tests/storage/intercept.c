/* Runs a program and interferes with one of its file system calls, seen by ptrace and seccomp, so that no call of any
 * thread is missed, whichever library makes it.
 *
 *   intercept -m MODE -n N -d FOLDER -o REPORT PROGRAM ARGUMENT...
 *
 * The calls that count are those on files below FOLDER: the ones that change something there, or, in the modes
 * that begin with `read-`, the ones that read. N counts from 1 over all threads.
 *
 *   count        all calls are carried out and counted
 *   kill         SIGKILL before call N
 *   tear         SIGKILL after half of call N, if it is a write; like kill otherwise
 *   pause        the program stands still before call N until it is killed
 *   read-count   all reads are carried out and counted
 *   read-error   call N fails with EIO
 *   read-kill    SIGKILL before call N
 *
 * REPORT gets the line `count N`, or `MODE N CALL PATH` once call N is reached. SIGTERM is passed on to the program.
 * The exit status is the program's, or 128 and the number of its signal.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* From <sys/ptrace.h>, which cannot be included beside <linux/ptrace.h>. */
extern long ptrace(int request, ...);

enum kind { BY_DESCRIPTOR, BY_PATH, BY_PATH_AT, OPEN_AT, RENAME_AT };
struct call { int number; const char *name; enum kind kind; };

static const struct call changes[] = {
    {SYS_openat, "openat", OPEN_AT},
    {SYS_write, "write", BY_DESCRIPTOR},
    {SYS_pwrite64, "pwrite64", BY_DESCRIPTOR},
    {SYS_writev, "writev", BY_DESCRIPTOR},
    {SYS_pwritev, "pwritev", BY_DESCRIPTOR},
    {SYS_pwritev2, "pwritev2", BY_DESCRIPTOR},
    {SYS_copy_file_range, "copy_file_range", BY_DESCRIPTOR},
    {SYS_sendfile, "sendfile", BY_DESCRIPTOR},
    {SYS_ftruncate, "ftruncate", BY_DESCRIPTOR},
    {SYS_fallocate, "fallocate", BY_DESCRIPTOR},
    {SYS_fsync, "fsync", BY_DESCRIPTOR},
    {SYS_fdatasync, "fdatasync", BY_DESCRIPTOR},
    {SYS_sync_file_range, "sync_file_range", BY_DESCRIPTOR},
    {SYS_fchmod, "fchmod", BY_DESCRIPTOR},
    {SYS_mkdirat, "mkdirat", BY_PATH_AT},
    {SYS_unlinkat, "unlinkat", BY_PATH_AT},
    {SYS_fchmodat, "fchmodat", BY_PATH_AT},
    {SYS_linkat, "linkat", RENAME_AT},
    {SYS_symlinkat, "symlinkat", BY_PATH},
    {SYS_renameat2, "renameat2", RENAME_AT},
    {SYS_truncate, "truncate", BY_PATH},
#ifdef SYS_renameat
    {SYS_renameat, "renameat", RENAME_AT},
#endif
#ifdef SYS_rename /* not on newer architectures */
    {SYS_rename, "rename", BY_PATH},
    {SYS_mkdir, "mkdir", BY_PATH},
    {SYS_unlink, "unlink", BY_PATH},
    {SYS_rmdir, "rmdir", BY_PATH},
    {SYS_link, "link", BY_PATH},
    {SYS_chmod, "chmod", BY_PATH},
#endif
};
static const struct call reads[] = {
    {SYS_read, "read", BY_DESCRIPTOR},
    {SYS_pread64, "pread64", BY_DESCRIPTOR},
    {SYS_readv, "readv", BY_DESCRIPTOR},
    {SYS_preadv, "preadv", BY_DESCRIPTOR},
    {SYS_preadv2, "preadv2", BY_DESCRIPTOR},
    {SYS_copy_file_range, "copy_file_range", BY_DESCRIPTOR},
    {SYS_sendfile, "sendfile", BY_DESCRIPTOR},
};

static const struct call *calls;
static size_t call_count;
static const char *mode = "count", *folder = "/", *report_path;
static long wanted, seen;
static pid_t program;

static void die(const char *what) { perror(what); exit(125); }

static void report(const char *word, long number, const char *name, const char *path) {
    FILE *file = report_path ? fopen(report_path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%s %ld %s %s\n", word, number, name, path);
    fclose(file);
}

static void pass_on(int sign) { if (program > 0) kill(program, sign); }

/* The program traps into the tracer at the calls of the table alone; all others run at full speed. */
static void trap_calls(void) {
    struct sock_filter code[260];
    size_t at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < call_count; i++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {(unsigned short)at, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) die("seccomp");
}

static int read_text(pid_t thread, unsigned long address, char *text, size_t size) {
    struct iovec mine = {text, size - 1}, theirs = {(void *)address, size - 1};
    /* Not beyond the page: what follows it may not be mapped. */
    size_t page = 4096 - address % 4096;
    if (theirs.iov_len > page) theirs.iov_len = mine.iov_len = page;
    ssize_t length = process_vm_readv(thread, &mine, 1, &theirs, 1, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    return 1;
}

/* Path of a descriptor, or of a name beside one. */
static void path_of(pid_t thread, const struct call *call, const unsigned long long *arguments, char *path, size_t size) {
    char link[64], name[4096] = "";
    int descriptor = (int)arguments[0];
    path[0] = 0;
    unsigned long text = 0;
    if (call->kind == BY_PATH) text = arguments[0];
    else if (call->kind == BY_PATH_AT || call->kind == OPEN_AT) text = arguments[1];
    else if (call->kind == RENAME_AT) text = arguments[3];
    if (call->kind == RENAME_AT) descriptor = (int)arguments[2];
    if (call->number == SYS_copy_file_range) descriptor = (int)arguments[calls == reads ? 0 : 2];
    if (call->number == SYS_sendfile) descriptor = (int)arguments[calls == reads ? 1 : 0];
    if (text && !read_text(thread, text, name, sizeof name)) return;
    if (name[0] == '/') { snprintf(path, size, "%s", name); return; }
    if (call->kind == BY_PATH || descriptor == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", thread);
    else snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, descriptor);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) length = 0;
    path[length] = 0;
    if (name[0] && (size_t)length + strlen(name) + 2 < size) { strcat(path, "/"); strcat(path, name); }
}

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '/' || path[length] == 0 || !strcmp(folder, "/"));
}

#if defined __x86_64__
typedef struct user_regs_struct registers;
#define LENGTH(r) ((r).rdx)
static void skip_call(pid_t thread, registers *r) { (void)thread; r->orig_rax = (unsigned long)-1; r->rax = (unsigned long)-EIO; }
#elif defined __aarch64__
typedef struct user_regs_struct registers;
#define LENGTH(r) ((r).regs[2])
static void skip_call(pid_t thread, registers *r) {
    int none = -1;
    struct iovec number = {&none, sizeof none};
    if (ptrace(PTRACE_SETREGSET, thread, 0x404 /* NT_ARM_SYSTEM_CALL */, &number)) die("skip a call");
    r->regs[0] = (unsigned long)-EIO;
}
#else
#error "intercept.c knows the registers of x86_64 and aarch64 alone"
#endif

static void get_registers(pid_t thread, registers *r) {
    struct iovec all = {r, sizeof *r};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &all)) die("read registers");
}
static void set_registers(pid_t thread, registers *r) {
    struct iovec all = {r, sizeof *r};
    if (ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &all)) die("write registers");
}

/* A thread stands before a call: 1 if it goes on, 2 if it goes on to the end of the call and dies there, 0 if it stays. */
static int at_call(pid_t thread) {
    struct ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return 1;
    const struct call *call = NULL;
    for (size_t i = 0; i < call_count && !call; i++)
        if (calls[i].number == (int)info.seccomp.nr) call = &calls[i];
    const unsigned long long *arguments = (const unsigned long long *)info.seccomp.args;
    if (!call || (call->kind == OPEN_AT && !(arguments[2] & (O_CREAT | O_TRUNC)))) return 1;
    char path[8192];
    path_of(thread, call, arguments, path, sizeof path);
    if (!is_below(path) || ++seen != wanted) return 1;
    if (!strcmp(mode, "count") || !strcmp(mode, "read-count")) return 1;
    report(mode, seen, call->name, path);
    if (!strcmp(mode, "read-error")) {
        registers r;
        get_registers(thread, &r);
        skip_call(thread, &r);
        set_registers(thread, &r);
        return 1;
    }
    if (!strcmp(mode, "pause")) { kill(program, SIGSTOP); return 0; }
    if (!strcmp(mode, "tear") && (call->number == SYS_write || call->number == SYS_pwrite64) && arguments[2] > 1) {
        registers r;
        get_registers(thread, &r);
        LENGTH(r) /= 2;
        set_registers(thread, &r);
        return 2;
    }
    kill(program, SIGKILL);
    return 0;
}

int main(int count, char **words) {
    int option;
    while ((option = getopt(count, words, "+m:n:d:o:")) != -1) {
        if (option == 'm') mode = optarg;
        else if (option == 'n') wanted = atol(optarg);
        else if (option == 'd') folder = optarg;
        else if (option == 'o') report_path = optarg;
        else return 125;
    }
    if (optind >= count) { fprintf(stderr, "intercept: no program\n"); return 125; }
    int of_reads = !strncmp(mode, "read-", 5);
    calls = of_reads ? reads : changes;
    call_count = of_reads ? sizeof reads / sizeof *reads : sizeof changes / sizeof *changes;
    program = fork();
    if (program < 0) die("fork");
    if (!program) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) die("trace");
        raise(SIGSTOP);
        trap_calls();
        execvp(words[optind], words + optind);
        die(words[optind]);
    }
    signal(SIGTERM, pass_on);
    int status;
    if (waitpid(program, &status, 0) != program || !WIFSTOPPED(status)) die("start");
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SETOPTIONS, program, 0, options)) die("options");
    ptrace(PTRACE_CONT, program, 0, 0);
    pid_t dies = 0;
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == program) break;
            continue;
        }
        if (!WIFSTOPPED(status)) continue;
        int sign = WSTOPSIG(status), event = status >> 16;
        if (sign == (SIGTRAP | 0x80)) { /* only a torn call is followed to its end */
            if (thread == dies) { kill(program, SIGKILL); continue; }
            ptrace(PTRACE_CONT, thread, 0, 0);
        } else if (event == PTRACE_EVENT_SECCOMP) {
            int goes_on = at_call(thread);
            if (goes_on == 2) { dies = thread; ptrace(PTRACE_SYSCALL, thread, 0, 0); }
            else if (goes_on) ptrace(PTRACE_CONT, thread, 0, 0);
        } else if (event || sign == SIGSTOP) {
            /* News of the tracer, and the first stop of a new thread. A program that pauses gets the SIGSTOP, which stops
             * all its threads, and they stay where they are: a stop that no signal is delivered at is that of the group. */
            siginfo_t signal_info;
            int pauses = sign == SIGSTOP && !event && !strcmp(mode, "pause") && seen >= wanted;
            if (!pauses) ptrace(PTRACE_CONT, thread, 0, 0);
            else if (!ptrace(PTRACE_GETSIGINFO, thread, 0, &signal_info)) ptrace(PTRACE_CONT, thread, 0, SIGSTOP);
        } else {
            ptrace(PTRACE_CONT, thread, 0, sign == SIGTRAP ? 0 : sign);
        }
    }
    if (!strcmp(mode, "count") || !strcmp(mode, "read-count")) report("count", seen, "", "");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
