//go:build !purego && !noasm

#include "textflag.h"

// func InUse() uint32
TEXT ·InUse(SB), NOSPLIT, $0-4
	MOVL $1, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET

// func DirtyInUse() uint32
TEXT ·DirtyInUse(SB), NOSPLIT, $0-4
	VXORPS     X0, X0, X0
	VCMPPS     $0, Y0, Y0, Y0
	MOVL       $1, CX
	XGETBV
	VZEROUPPER
	MOVL       AX, ret+0(FP)
	RET

// func restore(area *byte, mask uint32)
TEXT ·restore(SB), NOSPLIT, $0-12
	MOVQ area+0(FP), DI
	MOVL mask+8(FP), AX
	XORL DX, DX
	BYTE $0x0f; BYTE $0xae; BYTE $0x2f // XRSTOR (DI)
	RET
