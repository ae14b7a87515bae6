//go:build !purego && !noasm

#include "textflag.h"

// Sixteen accumulators hide the latency of 4 cycles of 4 FMAs a cycle.

// func fmaNEON(x *float32, b float32, n int)
TEXT ·fmaNEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD R0, R1
	MOVWU b+8(FP), R2
	VDUP R2, V16.S4
	MOVD n+16(FP), R3
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1.P 64(R1), [V12.S4, V13.S4, V14.S4, V15.S4]
	CMP  $0, R3
	BLE  done

loop:
	VFMLA V16.S4, V0.S4, V0.S4
	VFMLA V16.S4, V1.S4, V1.S4
	VFMLA V16.S4, V2.S4, V2.S4
	VFMLA V16.S4, V3.S4, V3.S4
	VFMLA V16.S4, V4.S4, V4.S4
	VFMLA V16.S4, V5.S4, V5.S4
	VFMLA V16.S4, V6.S4, V6.S4
	VFMLA V16.S4, V7.S4, V7.S4
	VFMLA V16.S4, V8.S4, V8.S4
	VFMLA V16.S4, V9.S4, V9.S4
	VFMLA V16.S4, V10.S4, V10.S4
	VFMLA V16.S4, V11.S4, V11.S4
	VFMLA V16.S4, V12.S4, V12.S4
	VFMLA V16.S4, V13.S4, V13.S4
	VFMLA V16.S4, V14.S4, V14.S4
	VFMLA V16.S4, V15.S4, V15.S4
	SUBS $1, R3
	BNE  loop

done:
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R0)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R0)
	VST1.P [V12.S4, V13.S4, V14.S4, V15.S4], 64(R0)
	RET

// func readNEON(x *float32, n int)
TEXT ·readNEON(SB), NOSPLIT, $0-16
	MOVD x+0(FP), R1
	MOVD n+8(FP), R3
	CMP  $0, R3
	BLE  done

loop:
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1.P 64(R1), [V12.S4, V13.S4, V14.S4, V15.S4]
	SUBS   $1, R3
	BNE    loop

done:
	RET

// func copyNEON(dst, x *float32, n int)
TEXT ·copyNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R3
	CMP  $0, R3
	BLE  done

loop:
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1.P 64(R1), [V12.S4, V13.S4, V14.S4, V15.S4]
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R0)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R0)
	VST1.P [V12.S4, V13.S4, V14.S4, V15.S4], 64(R0)
	SUBS   $1, R3
	BNE    loop

done:
	RET

// func writeNEON(dst *float32, v float32, n int)
TEXT ·writeNEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVWU v+8(FP), R2
	VDUP  R2, V0.S4
	VDUP  R2, V1.S4
	VDUP  R2, V2.S4
	VDUP  R2, V3.S4
	MOVD  n+16(FP), R3
	CMP   $0, R3
	BLE   done

loop:
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	SUBS   $1, R3
	BNE    loop

done:
	RET
