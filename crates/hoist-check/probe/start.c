/* Where the program begins, and which versions of functions it asks for: glibc moved some of them
 * in 2.34, and what is linked there without a word would not start on an older one. */

#if defined(__x86_64__)

#define OLD "GLIBC_2.2.5"

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rdx, %r9\n"    /* the loader's own end */
        "    pop %rsi\n"         /* argc */
        "    mov %rsp, %rdx\n"   /* argv */
        "    and $-16, %rsp\n"
        "    push %rax\n"
        "    push %rsp\n"
        "    xor %r8d, %r8d\n"
        "    xor %ecx, %ecx\n"
        "    lea main(%rip), %rdi\n"
        "    call *__libc_start_main@GOTPCREL(%rip)\n"
        "    hlt\n");

#elif defined(__aarch64__)

#define OLD "GLIBC_2.17"

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x5, x0\n"       /* the loader's own end */
        "    ldr x1, [sp]\n"     /* argc */
        "    add x2, sp, #8\n"   /* argv */
        "    mov x6, sp\n"
        "    adrp x0, main\n"
        "    add x0, x0, :lo12:main\n"
        "    mov x3, #0\n"
        "    mov x4, #0\n"
        "    bl __libc_start_main\n"
        "    brk #0\n");

#else
#error "the load probe is not written for this processor"
#endif

__asm__(".symver __libc_start_main, __libc_start_main@" OLD);
