//go:build (!amd64 && !arm64) || purego || noasm

package main

// loops is empty: there is no assembly.
var loops map[string]loop
