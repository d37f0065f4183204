// The functions of copi.hpp by name, on JSON: which there are, what they are given, what they return.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "copi.hpp"
#include "json.hpp"

namespace calls {

using copi::Layers;
using copi::LateralRule;
using copi::Matrix;

// --- conventions ---

// Asked for a choice that this implementation did not make.
struct Unsupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline LateralRule lateral_rule_of(const json::Value& name) {
    if (name == "left") return LateralRule::left;
    if (name == "right") return LateralRule::right;
    if (name == "symmetric") return LateralRule::symmetric;
    throw Unsupported("lateral_rule is " + json::write(name) + ": this example has left, right and symmetric");
}

// The lateral rule is the one choice; all else has to be as Algorithm 1 prints it. What is missing is so, too.
inline LateralRule rule_of(const json::Object& conventions) {
    static const json::Object as_printed = {
        {"samples", "rows"},       {"loss_factor", 2.0},        {"credit", "bp"},         {"activation", "leaky_relu"},
        {"slope", 0.1},            {"derivative_at_zero", 1.0}, {"output", "activation"}, {"reduction", "mean"},
        {"error_scale", 1.0},
    };
    LateralRule rule = LateralRule::right;
    for (const auto& [name, value] : conventions) {
        if (name == "lateral_rule") rule = lateral_rule_of(value);
        else if (name == "assumes_symmetric_R") continue;  // no R is assumed symmetric here, so either is right
        else if (const json::Value* ours = json::find(as_printed, name); !ours)
            throw Unsupported("conventions has " + name + ", which this example does not know");
        else if (!(value == *ours))
            throw Unsupported(name + " is " + json::write(value) + ": this example has " + json::write(*ours));
    }
    return rule;
}

// --- from JSON ---

// A number, or a string that strtod reads to its end, such as the hex float "0x1.8p+1".
inline double number_from(const std::string& name, const json::Value& value) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (const auto* text = std::get_if<std::string>(&value.data)) {
        char* end = nullptr;
        number = std::strtod(text->c_str(), &end);
        if (text->empty() || end != text->c_str() + text->size())
            throw std::invalid_argument(name + " is " + json::write(value) + ": needs a number");
    } else {
        number = json::get<double>(value, name);
    }
    if (!std::isfinite(number)) throw std::invalid_argument(name + " is not finite");
    return number;
}

template <class T>
T converted(const std::string& name, double number) {
    if (std::abs(number) > static_cast<double>(std::numeric_limits<T>::max()))
        throw std::invalid_argument(name + " is too large for its dtype");
    return static_cast<T>(number);
}

inline std::string element(const std::string& name, std::size_t i) { return name + "[" + std::to_string(i) + "]"; }

template <class T>
Matrix<T> matrix_from(const std::string& name, const json::Value& value) {
    const auto& rows = json::get<json::Array>(value, name);
    const std::size_t columns = rows.empty() ? 0 : json::get<json::Array>(rows[0], element(name, 0)).size();
    if (columns == 0) throw std::invalid_argument(name + " is empty: needs at least one row and one column");
    Matrix<T> out(rows.size(), columns);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::string here = element(name, i);
        const auto& row = json::get<json::Array>(rows[i], here);
        if (row.size() != columns)
            throw std::invalid_argument(here + " has " + std::to_string(row.size()) + " entries: needs " +
                                        std::to_string(columns) + ", as the first row");
        for (std::size_t j = 0; j < columns; ++j)
            out(i, j) = converted<T>(element(here, j), number_from(element(here, j), row[j]));
    }
    return out;
}

template <class T>
Layers<T> layers_from(const std::string& name, const json::Value& value) {
    Layers<T> out;
    for (const json::Value& one : json::get<json::Array>(value, name))
        out.push_back(matrix_from<T>(copi::of_layer(name, out.size()), one));
    return out;
}

// --- to JSON ---

template <class T>
json::Value to_json(const Matrix<T>& A) {
    json::Array rows;
    for (std::size_t i = 0; i < A.rows(); ++i) {
        json::Array row;
        for (std::size_t j = 0; j < A.columns(); ++j) row.emplace_back(static_cast<double>(A(i, j)));
        rows.emplace_back(std::move(row));
    }
    return rows;
}

template <class T>
json::Value to_json(const Layers<T>& layers) {
    json::Array out;
    for (const Matrix<T>& A : layers) out.push_back(to_json(A));
    return out;
}

// --- functions by name ---

template <class T>
struct Arguments {
    const json::Object& given;

    Matrix<T> matrix(const char* name) const { return matrix_from<T>(name, json::at(given, name)); }
    Layers<T> layers(const char* name) const { return layers_from<T>(name, json::at(given, name)); }
    T number(const char* name) const { return converted<T>(name, number_from(name, json::at(given, name))); }
    copi::Network<T> network() const { return {layers("W"), layers("R")}; }
    copi::Trace<T> trace() const { return {layers("x"), layers("a"), layers("y")}; }
};

template <class T>
struct Function {
    const char* name;
    json::Value (*call)(const Arguments<T>& given, LateralRule rule);
};

template <class T>
json::Value forward(const Arguments<T>& given, LateralRule) {
    const auto [x, a, y] = copi::forward(given.network(), given.matrix("y0"));
    return json::Object{{"x", to_json(x)}, {"a", to_json(a)}, {"y", to_json(y)}};
}

template <class T>
json::Value step(const Arguments<T>& given, LateralRule rule) {
    const auto [W, R] = copi::step(given.network(), given.matrix("y0"), given.matrix("target"), given.number("eta_w"),
                                   given.number("eta_r"), rule);
    return json::Object{{"W", to_json(W)}, {"R", to_json(R)}};
}

template <class T>
constexpr Function<T> functions[] = {
    {"copi_update",
     [](const Arguments<T>& given, LateralRule) {
         return to_json(copi::copi_update(given.matrix("x"), given.matrix("z"), given.matrix("W")));
     }},
    {"sgd_update",
     [](const Arguments<T>& given, LateralRule) {
         return to_json(copi::sgd_update(given.matrix("x"), given.matrix("delta")));
     }},
    {"decorrelation_update",
     [](const Arguments<T>& given, LateralRule rule) {
         return to_json(copi::decorrelation_update(given.matrix("x"), given.matrix("R"), rule));
     }},
    {"forward", forward<T>},
    {"perturbations",
     [](const Arguments<T>& given, LateralRule) {
         return to_json(copi::perturbations(given.network(), given.trace(), given.matrix("target")));
     }},
    {"step", step<T>},
};

inline bool has(const std::string& name) {
    for (const auto& function : functions<double>)
        if (function.name == name) return true;
    return false;
}

// The result: a matrix, a list of matrices, or an object of such lists; computed in T.
template <class T>
json::Value call(const std::string& name, const json::Object& arguments, LateralRule rule) {
    for (const auto& function : functions<T>)
        if (function.name == name) return function.call({arguments}, rule);
    throw std::invalid_argument("there is no function " + name + " here");
}

}  // namespace calls
