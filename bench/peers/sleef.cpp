// SLEEF for the benchmark program: its vector exponential, the one of at most
// 1 ULP, and what loops over it make of it; see serve.py.

#include <sleef.h>

#include <cmath>
#include <cstring>

#include "serve.h"

#if defined(__AVX512F__)
typedef __m512 Vec;
static const char build[] = "AVX512";
#define EXP Sleef_expf16_u10avx512f
#elif defined(__AVX2__)
typedef __m256 Vec;
static const char build[] = "AVX2";
#define EXP Sleef_expf8_u10avx2
#elif defined(__aarch64__)
typedef float32x4_t Vec;
static const char build[] = "NEON";
#define EXP Sleef_expf4_u10advsimd
#else
#error error: no vectors known here
#endif

const long lanes = sizeof(Vec) / sizeof(float);

// GCC has arithmetic for these vectors.
static Vec load(const float *p) {
	Vec v;
	memcpy(&v, p, sizeof v);
	return v;
}

static Vec splat(float x) { return Vec{} + x; }

// Calls f(j, v) with vectors of a row, the last of which fill fills up.
template <class F> static void vectors(const float *x, long n, float fill, F f) {
	long j = 0;
	for (; j + lanes <= n; j += lanes)
		f(j, load(x + j));
	if (j < n) {
		float tail[lanes];
		for (long i = 0; i < lanes; i++)
			tail[i] = j + i < n ? x[j + i] : fill;
		f(j, load(tail));
	}
}

static void store(float *y, long j, long n, Vec v) { memcpy(y + j, &v, std::min(lanes, n - j) * sizeof(float)); }

static float maximum(const float *x, long n) {
	Vec m = splat(-INFINITY);
	vectors(x, n, -INFINITY, [&](long, Vec v) { m = v > m ? v : m; });
	float most = -INFINITY;
	for (long i = 0; i < lanes; i++)
		most = std::max(most, m[i]);
	return most;
}

// Returns the sum of e^(x-m), and keeps the terms if there is a y.
static float sum(const float *x, float *y, long n, float m) {
	Vec s = {};
	vectors(x, n, -INFINITY, [&](long j, Vec v) {
		Vec e = EXP(v - splat(m));
		if (y)
			store(y, j, n, e);
		s += e;
	});
	float total = 0;
	for (long i = 0; i < lanes; i++)
		total += s[i];
	return total;
}

// Returns what calls f(x, y, i) for every row.
template <class F> static Run rows(Data d, F f) {
	return [=]() {
		for (long i = 0; i < d.rows; i++)
			f(d.x + i * d.cols, d.y + i * d.cols, i);
	};
}

static Run exponential(Data d) {
	long n = d.rows * d.cols;
	return [=]() { vectors(d.x, n, 0, [=](long j, Vec v) { store(d.y, j, n, EXP(v)); }); };
}

static float logSumExp(const float *x, long n) {
	float m = maximum(x, n);
	return m + std::log(sum(x, nullptr, n, m));
}

static Run softmax(Data d) {
	return rows(d, [=](const float *x, float *y, long) {
		float s = sum(x, y, d.cols, maximum(x, d.cols));
		for (long j = 0; j < d.cols; j++)
			y[j] /= s;
	});
}

static Run logSoftmax(Data d) {
	return rows(d, [=](const float *x, float *y, long) {
		float m = maximum(x, d.cols), l = std::log(sum(x, nullptr, d.cols, m));
		for (long j = 0; j < d.cols; j++)
			y[j] = x[j] - m - l;
	});
}

int main(int, char **argv) {
	Server server(argv, {
		{"exp", {false, exponential}},
		{"logsumexp", {true, [](Data d) {
			return rows(d, [=](const float *x, float *, long i) { d.out[i] = logSumExp(x, d.cols); });
		}}},
		{"softmax", {false, softmax}},
		{"log_softmax", {false, logSoftmax}},
		{"cross_entropy", {true, [](Data d) {
			return rows(d, [=](const float *x, float *, long i) {
				d.out[i] = logSumExp(x, d.cols) - x[d.targets[i] % d.cols];
			});
		}}},
	});
	server.serve(std::to_string(SLEEF_VERSION_MAJOR) + "." + std::to_string(SLEEF_VERSION_MINOR) + "." +
		std::to_string(SLEEF_VERSION_PATCHLEVEL), build);
}
