//go:build !purego && !noasm

#include "textflag.h"

// What the functions below do, with vectors of size bytes: CX steps from SI, to DI.

// Twelve accumulators hide the latency of 4 cycles of 2 FMAs a cycle, and more.
#define FMA(size, b, v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11) \
	VMOVUPS 0*size(SI), v0 \
	VMOVUPS 1*size(SI), v1 \
	VMOVUPS 2*size(SI), v2 \
	VMOVUPS 3*size(SI), v3 \
	VMOVUPS 4*size(SI), v4 \
	VMOVUPS 5*size(SI), v5 \
	VMOVUPS 6*size(SI), v6 \
	VMOVUPS 7*size(SI), v7 \
	VMOVUPS 8*size(SI), v8 \
	VMOVUPS 9*size(SI), v9 \
	VMOVUPS 10*size(SI), v10 \
	VMOVUPS 11*size(SI), v11 \
	TESTQ CX, CX \
	JLE done \
loop: \
	VFMADD231PS b, v0, v0 \
	VFMADD231PS b, v1, v1 \
	VFMADD231PS b, v2, v2 \
	VFMADD231PS b, v3, v3 \
	VFMADD231PS b, v4, v4 \
	VFMADD231PS b, v5, v5 \
	VFMADD231PS b, v6, v6 \
	VFMADD231PS b, v7, v7 \
	VFMADD231PS b, v8, v8 \
	VFMADD231PS b, v9, v9 \
	VFMADD231PS b, v10, v10 \
	VFMADD231PS b, v11, v11 \
	DECQ CX \
	JNZ loop \
done: \
	VMOVUPS v0, 0*size(SI) \
	VMOVUPS v1, 1*size(SI) \
	VMOVUPS v2, 2*size(SI) \
	VMOVUPS v3, 3*size(SI) \
	VMOVUPS v4, 4*size(SI) \
	VMOVUPS v5, 5*size(SI) \
	VMOVUPS v6, 6*size(SI) \
	VMOVUPS v7, 7*size(SI) \
	VMOVUPS v8, 8*size(SI) \
	VMOVUPS v9, 9*size(SI) \
	VMOVUPS v10, 10*size(SI) \
	VMOVUPS v11, 11*size(SI) \
	VZEROUPPER \
	RET

// A step of the others is four vectors, half of what AVX2 needs for 64 elements.
#define READ(size, v0, v1, v2, v3) \
	TESTQ CX, CX \
	JLE done \
loop: \
	VMOVUPS 0*size(SI), v0 \
	VMOVUPS 1*size(SI), v1 \
	VMOVUPS 2*size(SI), v2 \
	VMOVUPS 3*size(SI), v3 \
	ADDQ $(4*size), SI \
	DECQ CX \
	JNZ loop \
done: \
	VZEROUPPER \
	RET

#define COPY(size, v0, v1, v2, v3) \
	TESTQ CX, CX \
	JLE done \
loop: \
	VMOVUPS 0*size(SI), v0 \
	VMOVUPS 1*size(SI), v1 \
	VMOVUPS 2*size(SI), v2 \
	VMOVUPS 3*size(SI), v3 \
	VMOVUPS v0, 0*size(DI) \
	VMOVUPS v1, 1*size(DI) \
	VMOVUPS v2, 2*size(DI) \
	VMOVUPS v3, 3*size(DI) \
	ADDQ $(4*size), SI \
	ADDQ $(4*size), DI \
	DECQ CX \
	JNZ loop \
done: \
	VZEROUPPER \
	RET

#define WRITE(size, v) \
	TESTQ CX, CX \
	JLE done \
loop: \
	VMOVUPS v, 0*size(DI) \
	VMOVUPS v, 1*size(DI) \
	VMOVUPS v, 2*size(DI) \
	VMOVUPS v, 3*size(DI) \
	ADDQ $(4*size), DI \
	DECQ CX \
	JNZ loop \
done: \
	VZEROUPPER \
	RET

// func fmaAVX2(x *float32, b float32, n int)
TEXT ·fmaAVX2(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), SI
	VBROADCASTSS b+8(FP), Y15
	MOVQ         n+16(FP), CX
	FMA(32, Y15, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11)

// func readAVX2(x *float32, n int)
TEXT ·readAVX2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	ADDQ CX, CX
	READ(32, Y0, Y1, Y2, Y3)

// func copyAVX2(dst, x *float32, n int)
TEXT ·copyAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	ADDQ CX, CX
	COPY(32, Y0, Y1, Y2, Y3)

// func writeAVX2(dst *float32, v float32, n int)
TEXT ·writeAVX2(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	VBROADCASTSS v+8(FP), Y0
	MOVQ         n+16(FP), CX
	ADDQ         CX, CX
	WRITE(32, Y0)

// func fmaAVX512(x *float32, b float32, n int)
TEXT ·fmaAVX512(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), SI
	VBROADCASTSS b+8(FP), Z15
	MOVQ         n+16(FP), CX
	FMA(64, Z15, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11)

// func readAVX512(x *float32, n int)
TEXT ·readAVX512(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	READ(64, Z0, Z1, Z2, Z3)

// func copyAVX512(dst, x *float32, n int)
TEXT ·copyAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	COPY(64, Z0, Z1, Z2, Z3)

// func writeAVX512(dst *float32, v float32, n int)
TEXT ·writeAVX512(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	VBROADCASTSS v+8(FP), Z0
	MOVQ         n+16(FP), CX
	WRITE(64, Z0)
