//go:build !purego && !noasm

package main

//go:noescape
func fmaNEON(x *float32, b float32, n int)

//go:noescape
func readNEON(x *float32, n int)

//go:noescape
func copyNEON(dst, x *float32, n int)

//go:noescape
func writeNEON(dst *float32, v float32, n int)

// loops are those in assembly.
var loops = map[string]loop{
	"neon": {fmaNEON, 16 * 4, readNEON, copyNEON, writeNEON},
}
