// What serve.py is, for helpers in C++. Planar shapes are none of theirs.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

struct Data {
	long rows, cols;
	float *x, *y; // rows times cols
	float *out;   // one a row
	int64_t *targets;
};

using Run = std::function<void()>;

struct Op {
	bool perRow; // The result is in out, not in y.
	std::function<Run(Data)> prepare;
};

// Memory aligned to huge pages, which are asked for where huge is true.
template <class T> T *allocate(size_t n, bool huge) {
	const size_t page = 2 << 20;
	size_t bytes = (n * sizeof(T) + page) / page * page;
	void *p = nullptr;
	if (posix_memalign(&p, page, bytes))
		throw std::bad_alloc();
#ifdef __linux__
	madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NORMAL);
#endif
	return static_cast<T *>(p);
}

class Server {
	std::string directory, result;
	bool huge;
	std::map<std::string, Op> ops;
	std::map<std::string, std::pair<Data, Run>> prepared;
	Data all = {};
	long size = 0; // of all.x and all.y

	template <class T> long read(const char *name, T *&data) {
		std::string path = directory + "/data-" + name;
		FILE *f = fopen(path.c_str(), "rb");
		if (!f)
			throw std::runtime_error("cannot open " + path);
		fseek(f, 0, SEEK_END);
		long n = ftell(f) / sizeof(T);
		rewind(f);
		free(data);
		data = allocate<T>(n, huge);
		long got = fread(data, sizeof(T), n, f);
		fclose(f);
		if (got != n)
			throw std::runtime_error("cannot read " + path);
		return n;
	}

	void load() {
		prepared.clear();
		size = read("x", all.x);
		free(all.y);
		all.y = allocate<float>(size, huge);
		std::fill(all.y, all.y + size, 0); // Its pages are there before it is timed.
		all.rows = read("targets", all.targets);
		free(all.out);
		all.out = allocate<float>(all.rows, huge);
	}

	const std::pair<Data, Run> &operation(const std::string &op, const std::string &shape) {
		auto key = op + " " + shape;
		if (!prepared.count(key)) {
			if (!ops.count(op))
				throw std::runtime_error("unknown operation " + op);
			Data d = all;
			char end;
			if (sscanf(shape.c_str(), "%ldx%ld%c", &d.rows, &d.cols, &end) != 2)
				throw std::runtime_error("bad shape " + shape);
			if (d.rows < 1 || d.cols < 1 || d.rows > all.rows || d.cols > size / d.rows)
				throw std::runtime_error("no data for the shape " + shape);
			prepared[key] = {d, ops[op].prepare(d)};
		}
		return prepared[key];
	}

	std::string answer(std::istream &line) {
		std::string op, shape;
		line >> op;
		if (op == "load") {
			load();
			return "ok";
		}
		bool keep = op == "result";
		if (keep)
			line >> op;
		line >> shape;
		const auto &[d, run] = operation(op, shape);
		if (keep) {
			run();
			FILE *f = fopen(result.c_str(), "wb");
			if (!f)
				throw std::runtime_error("cannot create " + result);
			size_t n = ops[op].perRow ? d.rows : d.rows * d.cols;
			size_t written = fwrite(ops[op].perRow ? d.out : d.y, sizeof(float), n, f);
			if (fclose(f) || written != n)
				throw std::runtime_error("cannot write " + result);
			return "ok";
		}
		long reps;
		if (!(line >> reps))
			throw std::runtime_error("how often?");
		auto start = std::chrono::steady_clock::now();
		for (; reps > 0; reps--)
			run();
		std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
		return "ok " + std::to_string(took.count());
	}

public:
	Server(char **argv, std::map<std::string, Op> ops)
		: directory(argv[1]), result(argv[2]), huge(std::string(argv[3]) == "true"), ops(std::move(ops)) {}

	void serve(const std::string &version, const std::string &build) {
		std::cout << "ready " << version << " " << build;
		for (auto &op : ops)
			std::cout << " " << op.first;
		std::cout << std::endl;
		for (std::string line; std::getline(std::cin, line);) {
			try {
				std::istringstream words(line);
				std::cout << answer(words) << std::endl;
			} catch (const std::exception &e) {
				std::cout << "error " << e.what() << std::endl;
			}
		}
	}
};
