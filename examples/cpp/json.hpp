// A small JSON: parse(text) gives a Value, write(value) gives text. Numbers are doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace json {

struct Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // keeps the order of the text

struct Value {
    std::variant<std::nullptr_t, bool, double, std::string, Array, Object> data = nullptr;

    Value() = default;
    Value(bool truth) : data(truth) {}
    Value(double number) : data(number) {}
    Value(const char* text) : data(std::string(text)) {}  // without it, a char* would become a bool
    Value(std::string text) : data(std::move(text)) {}
    Value(Array array) : data(std::move(array)) {}
    Value(Object object) : data(std::move(object)) {}
};

inline bool operator==(const Value& left, const Value& right) { return left.data == right.data; }

// The value as a T: bool, double, std::string, Array or Object. `what` names it in the error.
template <class T>
const T& get(const Value& value, std::string_view what) {
    static const char* const kinds[] = {"null", "a bool", "a number", "a string", "an array", "an object"};
    if (const T* found = std::get_if<T>(&value.data)) return *found;
    throw std::runtime_error(std::string(what) + " is " + kinds[value.data.index()] + ": needs " +
                             kinds[Value(T()).data.index()]);
}

// The member of that name, or nullptr if there is none.
inline const Value* find(const Object& object, std::string_view name) {
    for (const auto& [key, member] : object)
        if (key == name) return &member;
    return nullptr;
}

// The member of that name, or an error that names it.
inline const Value& at(const Object& object, std::string_view name) {
    if (const Value* member = find(object, name)) return *member;
    throw std::runtime_error(std::string(name) + " is missing");
}

class Parser {
  public:
    explicit Parser(const std::string& text) : text_(text) {}

    Value document() {
        Value value = parse_value(0);
        peek_token();
        if (at_ < text_.size()) fail("something follows the value");
        return value;
    }

  private:
    Value parse_value(int depth) {
        if (depth > 100) fail("nested too deeply");  // the recursion must not exhaust the stack
        switch (peek_token()) {
            case '{': return parse_object(depth);
            case '[': return parse_array(depth);
            case '"': return parse_string();
            case 't': return parse_word("true", true);
            case 'f': return parse_word("false", false);
            case 'n': return parse_word("null", Value());
            default: return parse_number();
        }
    }

    Value parse_object(int depth) {
        Object object;
        parse_list('{', '}', [&] {
            std::string name = parse_string();
            if (find(object, name)) fail("the name " + name + " comes twice");
            expect(':');
            object.emplace_back(std::move(name), parse_value(depth + 1));
        });
        return object;
    }

    Value parse_array(int depth) {
        Array array;
        parse_list('[', ']', [&] { array.push_back(parse_value(depth + 1)); });
        return array;
    }

    template <class Element>
    void parse_list(char open, char close, Element parse_element) {
        expect(open);
        if (accept(close)) return;
        do parse_element();
        while (accept(','));
        expect(close);
    }

    Value parse_word(const std::string& word, Value value) {
        if (text_.compare(at_, word.size(), word) != 0) fail("needs a value");
        at_ += word.size();
        return value;
    }

    Value parse_number() {
        const std::size_t start = at_;
        if (peek() == '-') ++at_;
        if (peek() == '0') ++at_;
        else skip_digits();
        if (peek() == '.') ++at_, skip_digits();
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            skip_digits();
        }
        // On a copy, because strtod would read on where a JSON number ends: 0x10.
        const double number = std::strtod(text_.substr(start, at_ - start).c_str(), nullptr);
        if (!std::isfinite(number)) fail("a number too large for a double");
        return number;
    }

    void skip_digits() {
        const auto is_digit = [](char c) { return '0' <= c && c <= '9'; };
        if (!is_digit(peek())) fail("needs a value");
        while (is_digit(peek())) ++at_;
    }

    std::string parse_string() {
        std::string found;
        expect('"');
        for (char c = next(); c != '"'; c = next()) {
            if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
            if (c == '\\') found += parse_escape();
            else found += c;
        }
        return found;
    }

    std::string parse_escape() {
        static const std::string letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        const char c = next();
        if (c == 'u') return utf8(parse_code_point());
        const std::size_t index = letters.find(c);
        if (index == std::string::npos) fail("an unknown escape in a string");
        return std::string(1, meanings[index]);
    }

    // What follows \u: four digits, or a surrogate pair for a code point that needs more than 16 bits.
    unsigned long parse_code_point() {
        const unsigned long unit = parse_hex4();
        if (unit < 0xD800 || unit > 0xDFFF) return unit;
        if (unit > 0xDBFF || next() != '\\' || next() != 'u') fail("half a surrogate pair");
        const unsigned long low = parse_hex4();
        if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
        return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }

    unsigned long parse_hex4() {
        const std::string digits = text_.substr(at_, 4);
        if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
            fail("\\u needs four hexadecimal digits");
        at_ += 4;
        return std::stoul(digits, nullptr, 16);
    }

    static std::string utf8(unsigned long code) {
        static constexpr unsigned long leads[] = {0x00, 0xC0, 0xE0, 0xF0};
        std::string bytes;
        const auto prepend = [&bytes](unsigned long byte) { bytes.insert(bytes.begin(), static_cast<char>(byte)); };
        const int tail = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        for (int i = 0; i < tail; ++i, code >>= 6) prepend(0x80 | (code & 0x3F));
        prepend(leads[tail] | code);
        return bytes;
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }  // no rule accepts a NUL

    char next() { return at_ < text_.size() ? text_[at_++] : fail("the text ends too early"); }

    char peek_token() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
        return peek();
    }

    bool accept(char c) {
        const bool there = peek_token() == c;
        if (there) ++at_;
        return there;
    }

    void expect(char c) {
        if (!accept(c)) fail(std::string("needs ") + c);
    }

    [[noreturn]] char fail(const std::string& why) const {
        const std::string before = text_.substr(0, at_);
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        const auto byte = before.size() - before.rfind('\n');  // npos is −1, so this is right in the first line, too
        throw std::runtime_error("JSON, line " + std::to_string(line) + ", byte " + std::to_string(byte) + ": " + why);
    }

    const std::string& text_;
    std::size_t at_ = 0;
};

inline Value parse(const std::string& text) { return Parser(text).document(); }

inline std::string formatted(const char* format, double number) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, format, number);
    return buffer;
}

inline std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
        else out += std::string("\\u00") + (c < 0x10 ? '0' : '1') + "0123456789abcdef"[c % 0x10];
    }
    return '"' + out + '"';
}

struct Writer {
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(const std::string& text) const { return quoted(text); }

    std::string operator()(double number) const {
        if (!std::isfinite(number)) throw std::runtime_error("JSON has no number " + formatted("%g", number));
        return formatted("%.17g", number);  // 17 digits give every double back
    }

    std::string operator()(const Array& array) const {
        std::string out;
        for (const auto& element : array) out += (out.empty() ? "" : ", ") + std::visit(*this, element.data);
        return '[' + out + ']';
    }

    std::string operator()(const Object& object) const {
        std::string out;
        for (const auto& [name, member] : object)
            out += (out.empty() ? "" : ", ") + quoted(name) + ": " + std::visit(*this, member.data);
        return '{' + out + '}';
    }
};

// One line of text. Throws where a number is not finite.
inline std::string write(const Value& value) { return std::visit(Writer(), value.data); }

}  // namespace json
