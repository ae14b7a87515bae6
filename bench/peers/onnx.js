// ONNX Runtime for the benchmark program: models of one node. See serve.py;
// the path of the package comes before the arguments named there.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const [module_, directory, result] = process.argv.slice(2);
const ort = require(module_);

const FLOAT = 1, INT64 = 7; // ONNX's names of element types
const OPSET = 12;

function varint(n) {
	const out = [];
	for (; n > 0x7f; n = Math.floor(n / 128)) {
		out.push((n % 128) | 0x80);
	}
	return Buffer.from([...out, n]);
}

// message returns one of protocol buffers, from pairs of numbers and values.
function message(...fields) {
	return Buffer.concat(fields.flatMap(([number, value]) => {
		if (typeof value === "number") {
			return [varint(number << 3), varint(value)];
		}
		const b = Buffer.from(value);
		return [varint(number << 3 | 2), varint(b.length), b];
	}));
}

// valueInfo returns a ValueInfoProto.
function valueInfo({name, type, dims}) {
	const shape = message(...dims.map((n) => [1, message([1, n])]));
	return message([1, name], [2, message([1, message([1, type], [2, shape])])]);
}

// model returns a ModelProto of one node.
function model(op, attributes, inputs, output) {
	const node = message(...inputs.map((i) => [1, i.name]), [2, output.name], [4, op], ...attributes.map((a) => [5, a]));
	const graph = message([1, node], [2, op], ...inputs.map((i) => [11, valueInfo(i)]), [12, valueInfo(output)]);
	return message([1, 7], [7, graph], [8, message([2, OPSET])]);
}

const integer = (name, value) => message([1, name], [3, value], [20, 2]);
const integers = (name, value) => message([1, name], [8, value], [20, 7]);
const string = (name, value) => message([1, name], [4, value], [20, 3]);

const reduce = [integers("axes", 1), integer("keepdims", 0)];
const axis = [integer("axis", 1)];
const ops = {
	amax: {node: "ReduceMax", attributes: reduce, perRow: true},
	argmax: {node: "ArgMax", attributes: [...axis, integer("keepdims", 0)], perRow: true, type: INT64},
	sum: {node: "ReduceSum", attributes: reduce, perRow: true},
	exp: {node: "Exp", attributes: []},
	logsumexp: {node: "ReduceLogSumExp", attributes: reduce, perRow: true},
	softmax: {node: "Softmax", attributes: axis},
	log_softmax: {node: "LogSoftmax", attributes: axis},
	cross_entropy: {node: "SoftmaxCrossEntropyLoss", attributes: [string("reduction", "none")], perRow: true, targets: true},
};

let x, y, targets, prepared;

function read(name, type) {
	const b = fs.readFileSync(path.join(directory, "data-" + name));
	const a = new type(b.length / type.BYTES_PER_ELEMENT);
	new Uint8Array(a.buffer).set(b);
	return a;
}

function load() {
	x = read("x", Float32Array);
	y = new Float32Array(x.length).fill(0);
	targets = read("targets", BigInt64Array);
	prepared = {};
}

// prepare returns what runs an operation, and where it leaves its result.
async function prepare(name, shape) {
	const op = ops[name];
	if (!op) {
		throw new Error("unknown operation " + name);
	}
	const dims = shape.split("x").map(Number), [rows, cols] = dims;
	const type = op.type || FLOAT;
	const outDims = op.perRow ? [rows] : dims;
	const inputs = [{name: "x", type: FLOAT, dims}];
	const feeds = {x: new ort.Tensor("float32", x.subarray(0, rows * cols), dims)};
	if (op.targets) {
		inputs.push({name: "targets", type: INT64, dims: [rows]});
		const t = targets.slice(0, rows).map((t) => t % BigInt(cols));
		feeds.targets = new ort.Tensor("int64", t, [rows]);
	}
	const session = await ort.InferenceSession.create(
		model(op.node, op.attributes, inputs, {name: "y", type, dims: outDims}),
		{intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3, executionProviders: ["cpu"]});
	// With room for the result: allocating 155 MB costs more than a softmax over them.
	const out = type === INT64 ? new ort.Tensor("int64", new BigInt64Array(rows), outDims)
		: new ort.Tensor("float32", y.subarray(0, op.perRow ? rows : rows * cols), outDims);
	return {run: () => session.run(feeds, {y: out}), out};
}

async function answer(words) {
	if (words[0] === "load") {
		load();
		return "ok";
	}
	const keep = words[0] === "result";
	const [op, shape, reps] = keep ? words.slice(1) : words;
	const key = op + " " + shape;
	prepared[key] ||= await prepare(op, shape);
	const {run, out} = prepared[key];
	if (keep) {
		await run();
		const data = out.type === "int64" ? Float32Array.from(out.data, Number) : out.data;
		fs.writeFileSync(result, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
		return "ok";
	}
	const start = process.hrtime.bigint();
	for (let i = 0; i < reps; i++) {
		await run();
	}
	return "ok " + (process.hrtime.bigint() - start);
}

async function main() {
	console.log("ready", ort.env.versions.node || ort.env.versions.common, "-", ...Object.keys(ops));
	for await (const line of readline.createInterface({input: process.stdin})) {
		try {
			console.log(await answer(line.trim().split(" ")));
		} catch (e) {
			console.log("error", String(e).replaceAll("\n", " "));
		}
	}
}

main();
