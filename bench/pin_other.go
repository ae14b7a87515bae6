//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// pin would tie the thread to a core.
func pin(core int) (string, func(), error) {
	if core >= 0 {
		return "", nil, errors.New("-pin: cannot pin a thread on " + runtime.GOOS)
	}
	return "not pinned to a core: cannot on " + runtime.GOOS, func() {}, nil
}

// useHugePages would ask for huge pages for the memory of x.
func useHugePages(x []float32) error {
	return errors.New("cannot ask for them on " + runtime.GOOS)
}
