//go:build !purego && !noasm

package main

//go:noescape
func fmaAVX2(x *float32, b float32, n int)

//go:noescape
func readAVX2(x *float32, n int)

//go:noescape
func copyAVX2(dst, x *float32, n int)

//go:noescape
func writeAVX2(dst *float32, v float32, n int)

//go:noescape
func fmaAVX512(x *float32, b float32, n int)

//go:noescape
func readAVX512(x *float32, n int)

//go:noescape
func copyAVX512(dst, x *float32, n int)

//go:noescape
func writeAVX512(dst *float32, v float32, n int)

// loops are those in assembly.
var loops = map[string]loop{
	"avx2":   {fmaAVX2, 12 * 8, readAVX2, copyAVX2, writeAVX2},
	"avx512": {fmaAVX512, 12 * 16, readAVX512, copyAVX512, writeAVX512},
}
