// oneDNN for the benchmark program; see serve.py.

#include <dnnl.hpp>

#include "serve.h"

using namespace dnnl;

static engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);

static memory::desc matrix(long rows, long cols) {
	return {{rows, cols}, memory::data_type::f32, memory::format_tag::ab};
}

// Returns what runs a primitive from x to dst.
static Run run(const primitive &p, const Data &d, const memory::desc &shape, float *dst) {
	memory from(matrix(d.rows, d.cols), cpu, d.x), to(shape, cpu, dst);
	return [=]() {
		p.execute(queue, {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}});
		queue.wait();
	};
}

static Run reduce(const Data &d, algorithm a) {
	if (d.cols == 1) // which oneDNN calls no reduction
		return [=]() { std::copy(d.x, d.x + d.rows, d.out); };
	auto to = matrix(d.rows, 1);
	return run(reduction({{a, matrix(d.rows, d.cols), to, 0, 0}, cpu}), d, to, d.out);
}

static Run softmax(const Data &d, algorithm a) {
	auto m = matrix(d.rows, d.cols);
	return run(softmax_v2_forward({{prop_kind::forward_inference, a, m, m, 1}, cpu}), d, m, d.y);
}

static Run exponential(const Data &d) {
	auto m = matrix(d.rows, d.cols);
	return run(eltwise_forward({{prop_kind::forward_inference, algorithm::eltwise_exp, m, 0, 0}, cpu}), d, m, d.y);
}

static std::string isa() {
	switch (get_effective_cpu_isa()) {
	case cpu_isa::sse41: return "SSE41";
	case cpu_isa::avx: return "AVX";
	case cpu_isa::avx2: return "AVX2";
	case cpu_isa::avx512_core: return "AVX512_CORE";
	default: return "default";
	}
}

int main(int, char **argv) {
	auto v = version();
	Server server(argv, {
		{"amax", {true, [](Data d) { return reduce(d, algorithm::reduction_max); }}},
		{"sum", {true, [](Data d) { return reduce(d, algorithm::reduction_sum); }}},
		{"exp", {false, exponential}},
		{"softmax", {false, [](Data d) { return softmax(d, algorithm::softmax_accurate); }}},
		{"log_softmax", {false, [](Data d) { return softmax(d, algorithm::softmax_log); }}},
	});
	server.serve(std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch), isa());
}
