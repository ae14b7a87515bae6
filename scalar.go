package logits

import "math"

// The functions of this file give the same bits on every architecture. They use
// additions, multiplications and divisions only, in a fixed order, and every
// product is converted to float64, which keeps the compiler from fusing it with
// an addition, even in a caller that they are inlined into.

// roundShift, added to a float64 of less than 1<<51, rounds it to an integer
// and leaves that in the low bits.
const roundShift = 0x1.8p52

// exp64 returns e^x with an error of less than 0.53 ULP, or 0.77 ULP where the
// result is subnormal; exp64(0) is 1.
//
// The method is that of Tang, "Table-driven implementation of the exponential
// function in IEEE floating-point arithmetic" (ACM TOMS 15, 1989): with n the
// integer nearest to 64 x/ln(2) and r = x - n ln(2)/64, e^x is 2^(n/64) e^r.
func exp64(x float64) float64 {
	const (
		perLn2 = 0x1.71547652b82fep+6  // 64/ln(2)
		ln2Hi  = 0x1.62e42fefap-7      // ln(2)/64 in 36 bits: n ln2Hi is exact
		ln2Lo  = 0x1.cf79abc9e3b3ap-46 // the rest of it

		// e^r = 1 + r + c2 r^2 + ... on |r| <= ln(2)/128: minimax, error 1.4e-18.
		c2 = 0x1.fffffffffdbccp-2
		c3 = 0x1.55555555548f8p-3
		c4 = 0x1.555573c708ce8p-5
		c5 = 0x1.111123aaf5e2ap-7
	)
	shifted := float64(x*perLn2) + roundShift
	n := math.Float64bits(shifted)
	k := shifted - roundShift
	r := (x - float64(k*ln2Hi)) - float64(k*ln2Lo)
	r2 := float64(r * r)
	t := &exp64Table[n%64]
	p := (r + t.tail) + float64(r2*((c2+float64(r*c3))+float64(r2*(c4+float64(r*c5)))))

	if math.Float64bits(x)&^(1<<63) <= 0x4085e00000000000 { // |x| <= 700
		s := math.Float64frombits(t.bits + n<<46)
		return s + float64(s*p)
	}
	switch {
	case x > 1000:
		return math.Inf(1)
	case x < -1000:
		return 0
	case math.IsNaN(x):
		return x
	}
	// Half of the exponent is left to a last multiplication, which rounds a
	// subnormal result once and overflows by itself.
	half := int64(n-0x4338000000000000) >> 7
	s := math.Float64frombits(t.bits + n<<46 - uint64(half)<<52)
	return float64((s + float64(s*p)) * math.Float64frombits(uint64(1023+half)<<52))
}

// exp32 returns e^d with a relative error of less than 1.1e-10, so that
// float32(exp32(d)) is within 0.502 ULP. It is 0 for d < -150 and +Inf for
// d > 128; exp32(0) is 1.
func exp32(d float64) float64 {
	if d > 128 {
		return d * math.MaxFloat64
	}
	return exp32Below(d)
}

// exp32Below is exp32 for d up to 128, as x - max is.
//
// It is exp64 with more steps and fewer terms, kept short enough to be inlined.
func exp32Below(d float64) float64 {
	const (
		perLn2 = 0x1.71547652b82fep+8 // 256/ln(2)

		// 2^(r/256) = 1 + c1 r + c2 r^2 on |r| <= 1/2: minimax, error 1.04e-10.
		c1 = 0x1.62e43543b5f95p-9
		c2 = 0x1.ebfbe40c8bdeep-19
	)
	if d < -150 {
		return 0
	}
	z := float64(d * perLn2)
	shifted := z + roundShift
	n := math.Float64bits(shifted)
	r := z - (shifted - roundShift)
	return float64(math.Float64frombits(exp32Table[n%256]+n<<44) * (1 + float64(r*(c1+float64(r*c2)))))
}

// log64 returns the natural logarithm of x with a relative error of less than
// 3.5e-16 (2.1 ULP), and of less than 0.7 ULP for x outside of (0.96, 1.05).
//
// The method is that of Tang, "Table-driven implementation of the logarithm
// function in IEEE floating-point arithmetic" (ACM TOMS 16, 1990): with
// c = (1 + i/64) 2^k nearest to x, and f = x - c, log(x) is
// k ln(2) + log(1 + i/64) + 2 atanh(f/(2c + f)).
func log64(x float64) float64 {
	one := uint64(0x3ff0000000000000)
	if math.Float64bits(x)-0x0400000000000000 >= 0x7fe0000000000000-0x0400000000000000 {
		switch {
		case math.IsNaN(x) || x > math.MaxFloat64:
			return x
		case x < 0:
			return math.NaN()
		case x == 0:
			return math.Inf(-1)
		case x < 1: // x or f might be subnormal
			x = float64(x * 0x1p128)
			one += 128 << 52
		default: // c might be 2^1024
			x = float64(x * 0.5)
			one -= 1 << 52
		}
	}
	b := math.Float64bits(x) + 1<<45
	c := math.Float64frombits(b &^ (1<<46 - 1))
	return logAbout(x-c, c, float64(int64(b-one)>>52), &logTable[b>>46%64])
}

// log1p64 returns log(1 + s) for s >= 0 with a relative error of less than
// 3.5e-16 (2.1 ULP), and of less than 0.8 ULP for s > 0.03.
//
// It is log64 of 1 + s but for f = s - (c - 1), where the rounding of 1 + s has
// no part.
func log1p64(s float64) float64 {
	one := uint64(0x3ff0000000000000)
	if math.Float64bits(s)-0x3c90000000000000 >= 0x7fe0000000000000-0x3c90000000000000 {
		if !(s >= 0x1p-54 && s <= math.MaxFloat64) {
			return s // s - s^2/2 rounds to s
		}
		s = float64(s * 0.5)
		one -= 1 << 52
	}
	b := math.Float64bits(1+s) + 1<<45
	c := math.Float64frombits(b &^ (1<<46 - 1))
	return logAbout(s-(c-1), c, float64(int64(b-one)>>52), &logTable[b>>46%64])
}

// logAbout returns k ln(2) + t + log((c + f)/c) for |f| <= c/128.
func logAbout(f, c, k float64, t *struct{ hi, lo float64 }) float64 {
	const (
		ln2Hi = 0x1.62e42fefa38p-1 // ln(2) in 42 bits: k ln2Hi is exact
		ln2Lo = 0x1.ef35793c7673p-45

		// 2 atanh(q/2) = q + c1 q^3 + c2 q^5 on |q| <= 1/127: minimax, relative
		// error 2e-17.
		c1 = 0x1.55555555154edp-4
		c2 = 0x1.999b34324f056p-7
	)
	q := f / (c + float64(0.5*f))
	q2 := float64(q * q)
	p := float64(q * float64(q2*(c1+float64(q2*c2))))
	return (float64(k*ln2Hi) + t.hi) + (q + (p + (float64(k*ln2Lo) + t.lo)))
}

// exp64Table holds 2^(i/64): bits are those of the nearest float64, less i<<46,
// and tail is how far it is too small, relatively.
var exp64Table = [64]struct {
	bits uint64
	tail float64
}{
	{0x3ff0000000000000, 0},
	{0x3fefec9a3e778061, -0x1.160139cd8dc5dp-56},
	{0x3fefd9b0d3158574, 0x1.cd2523567f613p-55},
	{0x3fefc74518759bc8, 0x1.0f74e61e6c861p-57},
	{0x3fefb5586cf9890f, 0x1.79aa65d837b6dp-54},
	{0x3fefa3ec32d3d1a2, 0x1.ebe3d702f9cd1p-60},
	{0x3fef9301d0125b51, -0x1.556522a2fbd0ep-54},
	{0x3fef829aaea92de0, -0x1.1c923b9d5f416p-54},
	{0x3fef72b83c7d517b, -0x1.01b15eaa59348p-55},
	{0x3fef635beb6fcb75, 0x1.b898c3f1353bfp-55},
	{0x3fef54873168b9aa, 0x1.aecf73e3a2f6p-54},
	{0x3fef463b88628cd6, 0x1.a6f4144a6c38dp-55},
	{0x3fef387a6e756238, 0x1.68efde3a8a894p-54},
	{0x3fef2b4565e27cdd, 0x1.0472b981fe7f2p-55},
	{0x3fef1e9df51fdee1, 0x1.2f7e16d09ab31p-55},
	{0x3fef1285a6e4030b, 0x1.b3782720c0ab4p-55},
	{0x3fef06fe0a31b715, 0x1.34d754db0abb6p-55},
	{0x3feefc08b26416ff, 0x1.fdd395dd3f84ap-55},
	{0x3feef1a7373aa9cb, -0x1.24aedcc4b5068p-54},
	{0x3feee7db34e59ff7, -0x1.1d1e83e9436d2p-56},
	{0x3feedea64c123422, 0x1.59f48a72a4c6dp-55},
	{0x3feed60a21f72e2a, -0x1.8a78f4817895bp-58},
	{0x3feece086061892d, 0x1.363ed60c2ac11p-59},
	{0x3feec6a2b5c13cd0, 0x1.ecce1daa10379p-57},
	{0x3feebfdad5362a27, 0x1.690cebb7aafbp-56},
	{0x3feeb9b2769d2ca7, -0x1.f94340071a38ep-55},
	{0x3feeb42b569d4f82, -0x1.8dec6bd0f385fp-56},
	{0x3feeaf4736b527da, 0x1.3350518fdd78ep-54},
	{0x3feeab07dd485429, 0x1.063e1e21c5409p-54},
	{0x3feea76f15ad2148, 0x1.432e62b64c035p-54},
	{0x3feea47eb03a5585, -0x1.c33c53bef4da8p-55},
	{0x3feea23882552225, -0x1.3cedd78565858p-54},
	{0x3feea09e667f3bcd, -0x1.3b3efbf5e2228p-54},
	{0x3fee9fb23c651a2f, -0x1.367efb86da9eep-57},
	{0x3fee9f75e8ec5f74, -0x1.81f647e5a3ecfp-56},
	{0x3fee9feb564267c9, -0x1.619321e55e68ap-55},
	{0x3feea11473eb0187, -0x1.b32dcb94da51dp-56},
	{0x3feea2f336cf4e62, 0x1.5ebe1abd66c55p-57},
	{0x3feea589994cce13, -0x1.369b6f13b3734p-54},
	{0x3feea8d99b4492ed, -0x1.4d450d872576ep-54},
	{0x3feeace5422aa0db, 0x1.db72fc1f0eab4p-55},
	{0x3feeb1ae99157736, 0x1.bf68359f35f44p-56},
	{0x3feeb737b0cdc5e5, -0x1.da9b88b6c1e29p-58},
	{0x3feebd829fde4e50, -0x1.2434322f4f9aap-54},
	{0x3feec49182a3f090, 0x1.1affc2b91ce27p-56},
	{0x3feecc667b5de565, -0x1.7c50422622263p-55},
	{0x3feed503b23e255d, -0x1.1bbd1d3bcbb15p-54},
	{0x3feede6b5579fdbf, 0x1.469846e735ab3p-55},
	{0x3feee89f995ad3ad, 0x1.c1a7792cb3387p-55},
	{0x3feef3a2b84f15fb, -0x1.5c3d956dcaebap-58},
	{0x3feeff76f2fb5e47, -0x1.8d6f438ad9334p-57},
	{0x3fef0c1e904bc1d2, 0x1.4ffd70a5fddcdp-56},
	{0x3fef199bdd85529c, 0x1.36eae30af0cb3p-56},
	{0x3fef27f12e57d14b, 0x1.4e08fd10959acp-55},
	{0x3fef3720dcef9069, 0x1.76b2c6c921968p-57},
	{0x3fef472d4a07897c, -0x1.fad5d3ffffa6fp-55},
	{0x3fef5818dcfba487, 0x1.4a385a63d07a7p-56},
	{0x3fef69e603db3285, 0x1.e5a50d5c192acp-55},
	{0x3fef7c97337b9b5f, -0x1.2d52107b43e1fp-55},
	{0x3fef902ee78b3ff6, 0x1.4b604603a88d3p-56},
	{0x3fefa4afa2a490da, -0x1.ff7128fd391fp-55},
	{0x3fefba1bee615a27, 0x1.ec3bc41aa2008p-55},
	{0x3fefd0765b6e4540, 0x1.a64a931d185eep-55},
	{0x3fefe7c1819e90d8, 0x1.7893b4d91cd9dp-56},
}

// exp32Table holds the bits of the float64 nearest to 2^(i/256), less i<<44.
var exp32Table = [256]uint64{
	0x3ff0000000000000, 0x3feffb1afa5abcbf, 0x3feff63da9fb3335, 0x3feff168143b0281,
	0x3fefec9a3e778061, 0x3fefe7d42e11bbcc, 0x3fefe315e86e7f85, 0x3fefde5f72f654b1,
	0x3fefd9b0d3158574, 0x3fefd50a0e3c1f89, 0x3fefd06b29ddf6de, 0x3fefcbd42b72a836,
	0x3fefc74518759bc8, 0x3fefc2bdf66607e0, 0x3fefbe3ecac6f383, 0x3fefb9c79b1f3919,
	0x3fefb5586cf9890f, 0x3fefb0f145e46c85, 0x3fefac922b7247f7, 0x3fefa83b23395dec,
	0x3fefa3ec32d3d1a2, 0x3fef9fa55fdfa9c5, 0x3fef9b66affed31b, 0x3fef973028d7233e,
	0x3fef9301d0125b51, 0x3fef8edbab5e2ab6, 0x3fef8abdc06c31cc, 0x3fef86a814f204ab,
	0x3fef829aaea92de0, 0x3fef7e95934f312e, 0x3fef7a98c8a58e51, 0x3fef76a45471c3c2,
	0x3fef72b83c7d517b, 0x3fef6ed48695bbc0, 0x3fef6af9388c8dea, 0x3fef672658375d2f,
	0x3fef635beb6fcb75, 0x3fef5f99f8138a1c, 0x3fef5be084045cd4, 0x3fef582f95281c6b,
	0x3fef54873168b9aa, 0x3fef50e75eb44027, 0x3fef4d5022fcd91d, 0x3fef49c18438ce4d,
	0x3fef463b88628cd6, 0x3fef42be3578a819, 0x3fef3f49917ddc96, 0x3fef3bdda27912d1,
	0x3fef387a6e756238, 0x3fef351ffb82140a, 0x3fef31ce4fb2a63f, 0x3fef2e85711ece75,
	0x3fef2b4565e27cdd, 0x3fef280e341ddf29, 0x3fef24dfe1f56381, 0x3fef21ba7591bb70,
	0x3fef1e9df51fdee1, 0x3fef1b8a66d10f13, 0x3fef187fd0dad990, 0x3fef157e39771b2f,
	0x3fef1285a6e4030b, 0x3fef0f961f641589, 0x3fef0cafa93e2f56, 0x3fef09d24abd886b,
	0x3fef06fe0a31b715, 0x3fef0432edeeb2fd, 0x3fef0170fc4cd831, 0x3feefeb83ba8ea32,
	0x3feefc08b26416ff, 0x3feef96266e3fa2d, 0x3feef6c55f929ff1, 0x3feef431a2de883b,
	0x3feef1a7373aa9cb, 0x3feeef26231e754a, 0x3feeecae6d05d866, 0x3feeea401b7140ef,
	0x3feee7db34e59ff7, 0x3feee57fbfec6cf4, 0x3feee32dc313a8e5, 0x3feee0e544ede173,
	0x3feedea64c123422, 0x3feedc70df1c5175, 0x3feeda4504ac801c, 0x3feed822c367a024,
	0x3feed60a21f72e2a, 0x3feed3fb2709468a, 0x3feed1f5d950a897, 0x3feecffa3f84b9d4,
	0x3feece086061892d, 0x3feecc2042a7d232, 0x3feeca41ed1d0057, 0x3feec86d668b3237,
	0x3feec6a2b5c13cd0, 0x3feec4e1e192aed2, 0x3feec32af0d7d3de, 0x3feec17dea6db7d7,
	0x3feebfdad5362a27, 0x3feebe41b817c114, 0x3feebcb299fddd0d, 0x3feebb2d81d8abff,
	0x3feeb9b2769d2ca7, 0x3feeb8417f4531ee, 0x3feeb6daa2cf6642, 0x3feeb57de83f4eef,
	0x3feeb42b569d4f82, 0x3feeb2e2f4f6ad27, 0x3feeb1a4ca5d920f, 0x3feeb070dde910d2,
	0x3feeaf4736b527da, 0x3feeae27dbe2c4cf, 0x3feead12d497c7fd, 0x3feeac0827ff07cc,
	0x3feeab07dd485429, 0x3feeaa11fba87a03, 0x3feea9268a5946b7, 0x3feea84590998b93,
	0x3feea76f15ad2148, 0x3feea6a320dceb71, 0x3feea5e1b976dc09, 0x3feea52ae6cdf6f4,
	0x3feea47eb03a5585, 0x3feea3dd1d1929fd, 0x3feea34634ccc320, 0x3feea2b9febc8fb7,
	0x3feea23882552225, 0x3feea1c1c70833f6, 0x3feea155d44ca973, 0x3feea0f4b19e9538,
	0x3feea09e667f3bcd, 0x3feea052fa75173e, 0x3feea012750bdabf, 0x3fee9fdcddd47645,
	0x3fee9fb23c651a2f, 0x3fee9f9298593ae5, 0x3fee9f7df9519484, 0x3fee9f7466f42e87,
	0x3fee9f75e8ec5f74, 0x3fee9f8286ead08a, 0x3fee9f9a48a58174, 0x3fee9fbd35d7cbfd,
	0x3fee9feb564267c9, 0x3feea024b1ab6e09, 0x3feea0694fde5d3f, 0x3feea0b938ac1cf6,
	0x3feea11473eb0187, 0x3feea17b0976cfdb, 0x3feea1ed0130c132, 0x3feea26a62ff86f0,
	0x3feea2f336cf4e62, 0x3feea3878491c491, 0x3feea427543e1a12, 0x3feea4d2add106d9,
	0x3feea589994cce13, 0x3feea64c1eb941f7, 0x3feea71a4623c7ad, 0x3feea7f4179f5b21,
	0x3feea8d99b4492ed, 0x3feea9cad931a436, 0x3feeaac7d98a6699, 0x3feeabd0a478580f,
	0x3feeace5422aa0db, 0x3feeae05bad61778, 0x3feeaf3216b5448c, 0x3feeb06a5e0866d9,
	0x3feeb1ae99157736, 0x3feeb2fed0282c8a, 0x3feeb45b0b91ffc6, 0x3feeb5c353aa2fe2,
	0x3feeb737b0cdc5e5, 0x3feeb8b82b5f98e5, 0x3feeba44cbc8520f, 0x3feebbdd9a7670b3,
	0x3feebd829fde4e50, 0x3feebf33e47a22a2, 0x3feec0f170ca07ba, 0x3feec2bb4d53fe0d,
	0x3feec49182a3f090, 0x3feec674194bb8d5, 0x3feec86319e32323, 0x3feeca5e8d07f29e,
	0x3feecc667b5de565, 0x3feece7aed8eb8bb, 0x3feed09bec4a2d33, 0x3feed2c980460ad8,
	0x3feed503b23e255d, 0x3feed74a8af46052, 0x3feed99e1330b358, 0x3feedbfe53c12e59,
	0x3feede6b5579fdbf, 0x3feee0e521356eba, 0x3feee36bbfd3f37a, 0x3feee5ff3a3c2774,
	0x3feee89f995ad3ad, 0x3feeeb4ce622f2ff, 0x3feeee07298db666, 0x3feef0ce6c9a8952,
	0x3feef3a2b84f15fb, 0x3feef68415b749b1, 0x3feef9728de5593a, 0x3feefc6e29f1c52a,
	0x3feeff76f2fb5e47, 0x3fef028cf22749e4, 0x3fef05b030a1064a, 0x3fef08e0b79a6f1f,
	0x3fef0c1e904bc1d2, 0x3fef0f69c3f3a207, 0x3fef12c25bd71e09, 0x3fef16286141b33d,
	0x3fef199bdd85529c, 0x3fef1d1cd9fa652c, 0x3fef20ab5fffd07a, 0x3fef244778fafb22,
	0x3fef27f12e57d14b, 0x3fef2ba88988c933, 0x3fef2f6d9406e7b5, 0x3fef33405751c4db,
	0x3fef3720dcef9069, 0x3fef3b0f2e6d1675, 0x3fef3f0b555dc3fa, 0x3fef43155b5bab74,
	0x3fef472d4a07897c, 0x3fef4b532b08c968, 0x3fef4f87080d89f2, 0x3fef53c8eacaa1d6,
	0x3fef5818dcfba487, 0x3fef5c76e862e6d3, 0x3fef60e316c98398, 0x3fef655d71ff6075,
	0x3fef69e603db3285, 0x3fef6e7cd63a8315, 0x3fef7321f301b460, 0x3fef77d5641c0658,
	0x3fef7c97337b9b5f, 0x3fef81676b197d17, 0x3fef864614f5a129, 0x3fef8b333b16ee12,
	0x3fef902ee78b3ff6, 0x3fef953924676d76, 0x3fef9a51fbc74c83, 0x3fef9f7977cdb740,
	0x3fefa4afa2a490da, 0x3fefa9f4867cca6e, 0x3fefaf482d8e67f1, 0x3fefb4aaa2188510,
	0x3fefba1bee615a27, 0x3fefbf9c1cb6412a, 0x3fefc52b376bba97, 0x3fefcac948dd7274,
	0x3fefd0765b6e4540, 0x3fefd632798844f8, 0x3fefdbfdad9cbe14, 0x3fefe1d802243c89,
	0x3fefe7c1819e90d8, 0x3fefedba3692d514, 0x3feff3c22b8f71f1, 0x3feff9d96b2a23d9,
}

// logTable holds log(1 + i/64) in two parts, hi a multiple of 2^-42, so that
// its sum with a multiple of the first part of ln(2) is exact.
var logTable = [64]struct {
	hi, lo float64
}{
	{0, 0},
	{0x1.fc0a8b0fcp-7, 0x1.f1e7cf6d3a69cp-50},
	{0x1.f829b0e78p-6, 0x1.980267c7e09e4p-45},
	{0x1.77458f633p-5, -0x1.181dce586af09p-44},
	{0x1.f0a30c0118p-5, -0x1.d599e83368e91p-45},
	{0x1.341d7961bcp-4, 0x1.1d0929983761p-44},
	{0x1.6f0d28ae58p-4, -0x1.4b4641b664613p-44},
	{0x1.a926d3a4acp-4, 0x1.563650bd22a9cp-44},
	{0x1.e27076e2bp-4, -0x1.a342c2af0003cp-45},
	{0x1.0d77e7cd08p-3, 0x1.cb2cd2ee2f482p-44},
	{0x1.29552f82p-3, -0x1.5b967f4471dfcp-44},
	{0x1.44d2b6ccb8p-3, -0x1.70cc16135783cp-46},
	{0x1.5ff3070a7ap-3, -0x1.8586f183bebf2p-44},
	{0x1.7ab890210ep-3, -0x1.bdb9072534a58p-45},
	{0x1.9525a9cf46p-3, -0x1.297137d9f158fp-44},
	{0x1.af3c94e80cp-3, -0x1.a4e633fcd9066p-52},
	{0x1.c8ff7c79aap-3, -0x1.7794f689f8434p-45},
	{0x1.e27076e2bp-3, -0x1.a342c2af0003cp-44},
	{0x1.fb9186d5e4p-3, -0x1.d572aab993c87p-47},
	{0x1.0a324e2739p-2, 0x1.c6bee7ef4030ep-47},
	{0x1.1675cababap-2, 0x1.8380e731f55c4p-44},
	{0x1.22941fbcf8p-2, -0x1.a6976f5eb0963p-44},
	{0x1.2e8e2bae12p-2, -0x1.67b1e99b72bd8p-45},
	{0x1.3a64c55694p-2, 0x1.7a71cbcd735dp-44},
	{0x1.4618bc21c6p-2, -0x1.3d82f484c84ccp-46},
	{0x1.51aad872ep-2, -0x1.f4bd8db0a7cc1p-44},
	{0x1.5d1bdbf581p-2, -0x1.8d6bdc9c7c238p-44},
	{0x1.686c81e9b1p-2, 0x1.2bb110af84054p-44},
	{0x1.739d7f6bbdp-2, 0x1.a7389314feb5p-52},
	{0x1.7eaf83b82bp-2, -0x1.e4da62d0c25adp-49},
	{0x1.89a3386c14p-2, 0x1.2d5ad38c40882p-45},
	{0x1.947941c211p-2, 0x1.beae9337451f4p-44},
	{0x1.9f323ecbfap-2, -0x1.ed03525ca2643p-44},
	{0x1.a9cec9a9a1p-2, -0x1.ed9cadec02b43p-44},
	{0x1.b44f77bcc9p-2, -0x1.3ae68224aa2cep-47},
	{0x1.beb4d9da72p-2, -0x1.21021e78b2151p-44},
	{0x1.c8ff7c79aap-2, -0x1.7794f689f8434p-44},
	{0x1.d32fe7e00fp-2, -0x1.0aa7884dcd05p-44},
	{0x1.dd46a04c1cp-2, 0x1.282fb989a9274p-44},
	{0x1.e744261d68p-2, 0x1.e1f8df68dbcf3p-44},
	{0x1.f128f5fafp-2, 0x1.bb2cd720ec44cp-44},
	{0x1.faf588f78fp-2, 0x1.8f6cd7d9f2754p-45},
	{0x1.02552a5a5dp-1, 0x1.fd8d38d2bafddp-46},
	{0x1.0723e5c1cep-1, -0x1.7f6350d38edddp-46},
	{0x1.0be72e42528p-1, 0x1.415b4c4bdd99fp-44},
	{0x1.109f39e2d5p-1, -0x1.b4810e09b27a4p-44},
	{0x1.154c3d2f4d8p-1, -0x1.0b2b38662e34dp-44},
	{0x1.19ee6b467c8p-1, 0x1.6ecc5cbdd7782p-45},
	{0x1.1e85f5e704p-1, 0x1.a07bd8b34be7cp-46},
	{0x1.23130d7becp-1, -0x1.7afa4392f1ba7p-46},
	{0x1.2795e1289bp-1, 0x1.1aeb783f3db97p-45},
	{0x1.2c0e9ed449p-1, -0x1.74468563ce45dp-45},
	{0x1.307d7334f1p-1, 0x1.7c3f6b2143eadp-46},
	{0x1.34e289d9cep-1, 0x1.d316eb92d885dp-45},
	{0x1.393e0d35628p-1, 0x1.0cd4e221301b7p-44},
	{0x1.3d9026a7158p-1, -0x1.055bfbd9c2f53p-45},
	{0x1.41d8fe8467p-1, 0x1.5732325e617a3p-44},
	{0x1.4618bc21c6p-1, -0x1.3d82f484c84ccp-45},
	{0x1.4a4f85db04p-1, -0x1.44fdd840b8591p-45},
	{0x1.4e7d811b758p-1, 0x1.d84e584c2b22cp-44},
	{0x1.52a2d265bc8p-1, -0x1.2a88c41ba8752p-44},
	{0x1.56bf9d5b3fp-1, 0x1.cca08e310b9b2p-44},
	{0x1.5ad404c35ap-1, -0x1.a609acaab41fcp-46},
	{0x1.5ee02a92418p-1, -0x1.8a8f29f6a02dcp-45},
}
