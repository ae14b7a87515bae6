module github.com/seed26845165/logits/bench

go 1.25.0

require (
	github.com/klauspost/cpuid/v2 v2.4.2
	github.com/sbinet/npyio v0.6.0
	github.com/seed26845165/logits v0.0.0
	golang.org/x/sys v0.43.0
)

require gonum.org/v1/gonum v0.9.3 // indirect

replace github.com/seed26845165/logits => ../
