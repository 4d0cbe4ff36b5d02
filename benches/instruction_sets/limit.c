// Makes ONNX Runtime believe in fewer instructions than the processor has, at the processor's full speed.
//
// `measure.py` copies the library and writes `ud2` over every `cpuid`, both of two bytes. Preloaded, this answers the trap: it
// runs `cpuid` and takes out of the answer what INSTRUCTION_SET does not have. Nothing can be added that is not there.

#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static const char *const sets[] = {"sse", "avx", "avx2", "avx512f", "avx512_vnni"};
enum { SSE, AVX, AVX2, AVX512F, AVX512_VNNI };

static int level = AVX512_VNNI;

#define BIT(n) (1u << (n))

static void leave_out(unsigned leaf, unsigned subleaf, unsigned answer[4]) {
    unsigned *eax = &answer[0], *ebx = &answer[1], *ecx = &answer[2], *edx = &answer[3];
    if (leaf == 1 && level < AVX2) *ecx &= ~BIT(12); // FMA
    if (leaf == 1 && level < AVX) *ecx &= ~BIT(28);
    if (leaf != 7) return;
    if (subleaf == 1) {
        *eax &= ~(BIT(4) | BIT(5)); // AVX-VNNI, AVX512-BF16
        *edx &= ~(BIT(4) | BIT(5)); // AVX-VNNI-INT8, AVX-NE-CONVERT
    } else if (subleaf == 0) {
        *edx &= ~(BIT(22) | BIT(23) | BIT(24) | BIT(25)); // AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8
        if (level < AVX512_VNNI) *ecx &= ~BIT(11);
        if (level < AVX512F) *ebx &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31)); // F, DQ, IFMA, CD, BW, VL
        if (level < AVX512F) *ecx &= ~(BIT(1) | BIT(6) | BIT(12) | BIT(14));                      // VBMI, VBMI2, BITALG, VPOPCNTDQ
        if (level < AVX2) *ebx &= ~BIT(5);
    }
}

static void answer_cpuid(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0x0b) {
        signal(signal_number, SIG_DFL); // a trap of somebody else's
        return;
    }
    unsigned leaf = registers[REG_RAX], subleaf = registers[REG_RCX], answer[4];
    __cpuid_count(leaf, subleaf, answer[0], answer[1], answer[2], answer[3]);
    leave_out(leaf, subleaf, answer);
    registers[REG_RAX] = answer[0];
    registers[REG_RBX] = answer[1];
    registers[REG_RCX] = answer[2];
    registers[REG_RDX] = answer[3];
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
    const char *wanted = getenv("INSTRUCTION_SET");
    for (int set = SSE; wanted && set <= AVX512_VNNI; set++)
        if (!strcmp(wanted, sets[set])) level = set;
    struct sigaction action = {.sa_sigaction = answer_cpuid, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, NULL);
}
