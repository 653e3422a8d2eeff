//! Exact cosine top-k over a row-major matrix of `f32`: what `include/pattern_search.h` says.

const std = @import("std");

const width = std.simd.suggestVectorLength(f64) orelse 2;
const Wide = @Vector(width, f64);

/// More floats than that cannot exist in memory.
const max_values = std.math.maxInt(isize) / @sizeOf(f32);

/// What is returned instead of a time.
const Refusal = error{ NullPointer, Misaligned, BadSize, BadTopK, BadQuery, NoMemory };

fn code(refusal: Refusal) f64 {
    return switch (refusal) {
        error.NullPointer => -1,
        error.Misaligned => -2,
        error.BadSize => -3,
        error.BadTopK => -4,
        error.BadQuery => -5,
        error.NoMemory => -6,
    };
}

/// One row of the answer.
const Hit = struct {
    row: i32,
    /// Its cosine with the query, or NaN.
    score: f32,

    /// Greater scores come first, NaN last; rows of equal score by their number.
    fn isBefore(hit: Hit, other: Hit) bool {
        const is_nan = std.math.isNan(hit.score);
        if (is_nan != std.math.isNan(other.score)) return !is_nan;
        if (!is_nan and hit.score != other.score) return hit.score > other.score;
        return hit.row < other.row;
    }
};

/// Sums in `f64`, where no square of a finite `f32` overflows or vanishes.
const Sums = struct { dot: f64, norm_squared: f64 };

fn sums(query: []const f32, row: []const f32) Sums {
    var dots: Wide = @splat(0);
    var norms: Wide = @splat(0);
    const whole = query.len - query.len % width;
    var at: usize = 0;
    while (at < whole) : (at += width) {
        const q: Wide = @floatCast(@as(@Vector(width, f32), query[at..][0..width].*));
        const p: Wide = @floatCast(@as(@Vector(width, f32), row[at..][0..width].*));
        dots += q * p;
        norms += p * p;
    }
    var total: Sums = .{ .dot = @reduce(.Add, dots), .norm_squared = @reduce(.Add, norms) };
    for (query[whole..], row[whole..]) |q, p| {
        total.dot += @as(f64, q) * p;
        total.norm_squared += @as(f64, p) * p;
    }
    return total;
}

fn cosine(query_norm: f64, total: Sums) f32 {
    if (!std.math.isFinite(total.norm_squared)) return std.math.nan(f32);
    if (query_norm == 0 or total.norm_squared == 0) return 0;
    // Rounding can put a parallel row a little past 1.
    const score = total.dot / (query_norm * @sqrt(total.norm_squared));
    return @floatCast(std.math.clamp(score, -1, 1));
}

/// Restores the order of a heap that has the last hit on top, below `start`.
fn siftDown(hits: []Hit, start: usize) void {
    var at = start;
    while (2 * at + 1 < hits.len) {
        var child = 2 * at + 1;
        if (child + 1 < hits.len and hits[child].isBefore(hits[child + 1])) child += 1;
        if (!hits[at].isBefore(hits[child])) return;
        std.mem.swap(Hit, &hits[at], &hits[child]);
        at = child;
    }
}

/// Fills `hits` with the first rows of `patterns`, best first.
fn search(query: []const f32, query_norm: f64, patterns: []const f32, n: usize, hits: []Hit) void {
    for (0..n) |number| {
        const row = patterns[number * query.len ..][0..query.len];
        const hit: Hit = .{ .row = @intCast(number), .score = cosine(query_norm, sums(query, row)) };
        if (number < hits.len) {
            hits[number] = hit;
            if (number + 1 == hits.len) {
                var start = hits.len / 2;
                while (start > 0) {
                    start -= 1;
                    siftDown(hits, start);
                }
            }
        } else if (hits.len > 0 and hit.isBefore(hits[0])) {
            hits[0] = hit;
            siftDown(hits, 0);
        }
    }
    var length = hits.len;
    while (length > 1) {
        length -= 1;
        std.mem.swap(Hit, &hits[0], &hits[length]);
        siftDown(hits[0..length], 0);
    }
}

fn address(pointer: ?*const anyopaque) Refusal!usize {
    const found = @intFromPtr(pointer);
    return if (found == 0) error.NullPointer else found;
}

fn size(value: i32) Refusal!usize {
    return if (value < 0) error.BadSize else @intCast(value);
}

fn answer(
    query_start: ?*const anyopaque,
    patterns_start: ?*const anyopaque,
    rows: i32,
    columns: i32,
    wanted: i32,
    out_idx: ?*anyopaque,
    out_score: ?*anyopaque,
) Refusal!void {
    const q = try address(query_start);
    const p = try address(patterns_start);
    const i = try address(out_idx);
    const s = try address(out_score);
    if ((q | p | i | s) % 4 != 0) return error.Misaligned;
    const n = try size(rows);
    const dim = try size(columns);
    const top_k = try size(wanted);
    if (n * dim > max_values) return error.BadSize;
    if (top_k > n) return error.BadTopK;
    const query = @as([*]const f32, @ptrFromInt(q))[0..dim];
    const patterns = @as([*]const f32, @ptrFromInt(p))[0 .. n * dim];

    // A finite norm of floats whose squares cannot overflow: all of them are finite.
    const query_norm = @sqrt(sums(query, query).norm_squared);
    if (!std.math.isFinite(query_norm)) return error.BadQuery;
    const hits = std.heap.c_allocator.alloc(Hit, top_k) catch return error.NoMemory;
    defer std.heap.c_allocator.free(hits);
    search(query, query_norm, patterns, n, hits);
    const idx = @as([*]i32, @ptrFromInt(i));
    const score = @as([*]f32, @ptrFromInt(s));
    for (hits, 0..) |hit, at| {
        idx[at] = hit.row;
        score[at] = hit.score;
    }
}

fn milliseconds() f64 {
    var now: std.c.timespec = undefined;
    _ = std.c.clock_gettime(.MONOTONIC, &now);
    return @as(f64, @floatFromInt(now.sec)) * 1e3 + @as(f64, @floatFromInt(now.nsec)) / 1e6;
}

export fn pattern_search_ffi(
    query: ?*const anyopaque,
    patterns: ?*const anyopaque,
    n: i32,
    dim: i32,
    top_k: i32,
    out_idx: ?*anyopaque,
    out_score: ?*anyopaque,
) f64 {
    const start = milliseconds();
    answer(query, patterns, n, dim, top_k, out_idx, out_score) catch |refusal| return code(refusal);
    return milliseconds() - start;
}
