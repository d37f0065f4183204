// The oracle's test vectors (format 1): run each case and compare with the exact result that its file holds.
#pragma once

#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <string>

#include "calls.hpp"
#include "json.hpp"

namespace vectors {

using json::at;
using json::get;

// --- comparing ---

// The element whose error is largest in units of what is allowed.
struct Element {
    std::string place;
    double actual = 0, expected = 0, error = 0, allowed = 0, ratio = 0;

    bool failed() const { return ratio > 1; }

    std::string text() const {
        const auto exact = [](double number) { return json::formatted("%.17g", number); };
        return place + " is " + exact(actual) + ", expected " + exact(expected) + ": off by " +
               json::formatted("%.3g", error) + ", allowed " + json::formatted("%.3g", allowed);
    }
};

inline Element compared(const std::string& place, double actual, double expected, double roundings, double magnitude) {
    const double unit = std::ldexp(1.0, -53);
    const double e = 2 * roundings * unit;
    const double error = std::abs(actual - expected);
    // The last term: the expected result is rounded, too.
    const double allowed = e / (1 - e) * magnitude + unit * std::abs(expected);
    double ratio = std::numeric_limits<double>::infinity();
    if (error == 0) ratio = 0;  // also where nothing is rounded, and so nothing allowed
    else if (allowed > 0) ratio = error / allowed;
    return {place, actual, expected, error, allowed, ratio};
}

inline void compare_matrix(const std::string& name, const json::Value& actual, const json::Value& expected,
                           const json::Object& tolerance, Element& worst) {
    const auto A = calls::matrix_from<double>(name, actual);
    const auto E = calls::matrix_from<double>("expected " + name, expected);
    const auto M = calls::matrix_from<double>("magnitude of " + name, at(tolerance, "magnitude"));
    const double roundings = get<double>(at(tolerance, "roundings"), "roundings of " + name);
    copi::check_shape(name, A, E.rows(), E.columns());
    copi::check_shape("magnitude of " + name, M, E.rows(), E.columns());
    for (std::size_t i = 0; i < E.rows(); ++i)
        for (std::size_t j = 0; j < E.columns(); ++j) {
            const std::string place = calls::element(calls::element(name, i), j);
            const Element here = compared(place, A(i, j), E(i, j), roundings, M(i, j));
            if (worst.place.empty() || here.ratio > worst.ratio) worst = here;
        }
}

// One quantity: a matrix, or one per layer where its tolerance is a list.
inline void compare(const std::string& name, const json::Value& actual, const json::Value& expected,
                    const json::Value& tolerance, Element& worst) {
    const auto* per_layer = std::get_if<json::Array>(&tolerance.data);
    if (!per_layer)
        return compare_matrix(name, actual, expected, get<json::Object>(tolerance, "tolerance of " + name), worst);
    const auto& ours = get<json::Array>(actual, name);
    const auto& theirs = get<json::Array>(expected, "expected " + name);
    if (ours.size() != theirs.size() || per_layer->size() != theirs.size())
        throw std::invalid_argument(name + " needs as many layers as expected, and a tolerance of each");
    for (std::size_t l = 0; l < theirs.size(); ++l)
        compare(copi::of_layer(name, l), ours[l], theirs[l], (*per_layer)[l], worst);
}

// --- cases ---

// The names that the files give to results which a function returns without one.
inline json::Object named(const std::string& function, const json::Value& result) {
    if (const auto* names_itself = std::get_if<json::Object>(&result.data)) return *names_itself;
    if (function == "perturbations") return {{"delta", result}};
    return {{function == "decorrelation_update" ? "dR" : "dW", result}};
}

// What is wrong with one call, or nothing.
inline std::string mistake(const std::string& function, const json::Object& given, copi::LateralRule rule) {
    Element worst;
    try {
        const auto& arguments = get<json::Object>(at(given, "arguments"), "arguments");
        const auto& expected = get<json::Object>(at(given, "results"), "results");
        const auto& tolerance = get<json::Object>(at(given, "tolerance"), "tolerance");
        const json::Object actual = named(function, calls::call<double>(function, arguments, rule));
        if (actual.size() != expected.size()) return "expects other results than " + function + " returns";
        for (const auto& [name, value] : actual) compare(name, value, at(expected, name), at(tolerance, name), worst);
    } catch (const std::exception& error) {
        return error.what();
    }
    return worst.failed() ? worst.text() : "";
}

// A case is one call, or the steps of a trajectory, each from weights of its own.
inline std::string mistake_of_case(const std::string& function, const json::Object& one, copi::LateralRule rule) {
    const json::Value* steps = json::find(one, "steps");
    if (!steps) return mistake(function, one, rule);
    std::size_t number = 0;
    for (const json::Value& step : get<json::Array>(*steps, "steps")) {
        const std::string found = mistake("step", get<json::Object>(step, "a step"), rule);
        ++number;
        if (!found.empty()) return "step " + std::to_string(number) + ": " + found;
    }
    return number == 0 ? "has no steps" : "";
}

// --- files ---

inline json::Object read_object(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("can't read " + path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const json::Value content = json::parse(text);
    const auto& object = get<json::Object>(content, path);
    if (!(at(object, "format") == 1.0)) throw std::runtime_error("has another format than 1");
    return object;
}

struct Count {
    std::size_t passed = 0, failed = 0, skipped = 0;
    std::string failures;  // a line for each

    std::size_t cases() const { return passed + failed + skipped; }
};

inline void run_case(const std::string& function, const json::Object& one, Count& count) {
    const std::string name = get<std::string>(at(one, "name"), "the name of a case");
    std::string found;
    try {
        const json::Value* conventions = json::find(one, "conventions");
        const auto rule = calls::rule_of(conventions ? get<json::Object>(*conventions, "conventions") : json::Object());
        found = mistake_of_case(function, one, rule);
    } catch (const calls::Unsupported&) {
        ++count.skipped;
        return;
    }
    if (found.empty()) {
        ++count.passed;
        return;
    }
    ++count.failed;
    count.failures += "  " + name + ": " + found + "\n";
}

// Runs one file and prints its line. Returns whether all of it is right.
inline bool run_file(const std::string& directory, const std::string& name, const json::Object& listed,
                     std::ostream& out) {
    out << name << ": ";
    try {
        const json::Object file = read_object(directory + "/" + name);
        const auto& function = get<std::string>(at(file, "function"), "function");
        if (!calls::has(function) && function != "trajectory") {
            out << "not implemented\n";
            return true;
        }
        Count count;
        for (const json::Value& one : get<json::Array>(at(file, "cases"), "cases"))
            run_case(function, get<json::Object>(one, "a case"), count);
        out << count.passed << " of " << count.cases() << " cases";
        if (count.skipped > 0) out << ", " << count.skipped << " skipped: conventions that this example does not have";
        const double promised = get<double>(at(listed, "cases"), "cases in the manifest");
        const bool complete = static_cast<double>(count.cases()) >= promised;
        if (!complete) out << ", FAILED: the manifest lists " << promised;
        if (count.failed > 0) out << ", " << count.failed << " FAILED";
        out << "\n" << count.failures;
        return complete && count.failed == 0;
    } catch (const std::exception& error) {
        out << "FAILED: " << error.what() << "\n";
        return false;
    }
}

// Runs every file that the manifest lists. Returns whether all are right.
inline bool run(const std::string& directory, std::ostream& out) {
    const json::Object manifest = read_object(directory + "/manifest.json");
    const auto& files = get<json::Object>(at(manifest, "files"), "files");
    if (files.empty()) throw std::runtime_error("manifest.json lists no files");
    bool all_right = true;
    for (const auto& [name, listed] : files)
        all_right = run_file(directory, name, get<json::Object>(listed, name + " in the manifest"), out) && all_right;
    return all_right;
}

}  // namespace vectors
