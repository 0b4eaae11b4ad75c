/* What main.c needs where there is no operating system. Ports 0xE9 and 0x8900 are Bochs': text goes to its console, and
 * the word Shutdown ends it. */
#include <stddef.h>
#include <stdint.h>

int main(void);

static void write_port(uint16_t port, char byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }

static void write_text(uint16_t port, const char *text)
{
    while (*text)
        write_port(port, *text++);
}

int puts(const char *line)
{
    write_text(0xE9, line);
    write_port(0xE9, '\n');
    return 0;
}

/* By one instruction each: the compiler would turn a loop into a call of the function that it stands in. */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
    return to;
}

typedef struct {
    uint64_t (**slot)(void);
    uint64_t type;
    uint64_t (*resolver)(void);
} relocation;

/* Set by the linker (bare.ld). */
extern const relocation relocations[], relocations_end[];
extern char zeroed[], zeroed_end[];

/* Chooses the clones as the loader of Linux does: by calling the resolver that the compiler made for each function. */
static void resolve_clones(void)
{
    for (const relocation *r = relocations; r < relocations_end; r++)
        *r->slot = (uint64_t(*)(void))r->resolver();
}

__attribute__((section(".entry"))) void entry(void)
{
    memset(zeroed, 0, (size_t)(zeroed_end - zeroed));
    resolve_clones();
    puts(""); /* after the prompt of Bochs' debugger */
    main();
    write_text(0x8900, "Shutdown");
}
