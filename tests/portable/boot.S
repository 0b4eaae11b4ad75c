/* The firmware of a machine that has nothing but a CPU and memory: from the reset vector to 64-bit mode, with every
 * vector register that the CPU has switched on, and into the image (bare.c), which it copies to 1 MiB. The firmware ends
 * at 4 GiB; its last 64 KiB, the code, are seen at 0xF0000 too. */

        .set    page_tables, 0x1000     /* three pages */
        .set    stack, 0x1000000
        .set    image_home, 0x100000

image:  .incbin "image.bin"
        .balign 0x10000, 0xFF

code:   .code16
        lgdtl   %cs:(gdt_register - code)
        movl    %cr0, %eax
        orb     $1, %al                 /* protected mode */
        movl    %eax, %cr0
        ljmpl   $8, $(0xF0000 + protected - code)

        .code32
protected:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss

        movl    $(0xFFFF0000 - (code - image)), %esi
        movl    $image_home, %edi
        movl    $(code - image), %ecx
        rep movsb

        /* The first GiB, mapped to itself: one entry in each of two tables, then 512 pages of 2 MiB. */
        movl    $page_tables, %edi
        xorl    %eax, %eax
        movl    $3 * 1024, %ecx
        rep stosl
        movl    $page_tables + 0x1003, page_tables
        movl    $page_tables + 0x2003, page_tables + 0x1000
        movl    $page_tables + 0x2000, %edi
        movl    $0x83, %eax
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        cmpl    $page_tables + 0x3000, %edi
        jne     1b

        movl    $0x620, %eax            /* CR4: PAE, OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
        movl    $page_tables, %eax
        movl    %eax, %cr3
        movl    $0xC0000080, %ecx       /* EFER: long mode */
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        andl    $~4, %eax               /* no emulation of the FPU */
        orl     $0x80000002, %eax       /* paging, and monitoring of the FPU */
        movl    %eax, %cr0
        ljmpl   $24, $(0xF0000 + long - code)

        .code64
long:   movl    $1, %eax
        cpuid
        btl     $26, %ecx               /* XSAVE: there are registers to switch on */
        jnc     2f
        movq    %cr4, %rax
        orl     $0x40000, %eax          /* OSXSAVE */
        movq    %rax, %cr4
        movl    $13, %eax
        xorl    %ecx, %ecx
        cpuid
        andl    $0xE7, %eax             /* XCR0: x87, SSE, AVX, and the three of AVX-512 */
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xsetbv
2:      movl    $stack, %esp
        movl    $image_home, %eax
        call    *%rax
3:      hlt
        jmp     3b

gdt:    .quad   0
        .quad   0x00CF9A000000FFFF      /* 8: code, 32 bits */
        .quad   0x00CF92000000FFFF      /* 16: data */
        .quad   0x00AF9A000000FFFF      /* 24: code, 64 bits */
gdt_register:
        .word   . - gdt - 1
        .long   0xF0000 + gdt - code

        .org    code + 0xFFF0, 0xFF     /* the reset vector */
        .code16
        ljmp    $0xF000, $0
        .org    code + 0x10000, 0xFF
