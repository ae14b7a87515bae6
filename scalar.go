package logits

import "math"

func exp64(x float64) float64   { return math.Exp(x) }
func exp32(x float64) float64   { return math.Exp(x) }
func log1p64(x float64) float64 { return math.Log1p(x) }
