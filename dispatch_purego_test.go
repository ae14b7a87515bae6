//go:build purego || noasm || (!amd64 && !arm64)

package logits

import (
	"slices"
	"testing"
)

func TestPathsPortable(t *testing.T) {
	if !slices.Equal(Paths(), []string{"generic"}) {
		t.Errorf("Paths() = %q without assembly", Paths())
	}
}
