// COPI in C++ for the oracle of copi_ref: without arguments one JSON object a line, with --vectors its test vectors.

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include "calls.hpp"
#include "json.hpp"
#include "vectors.hpp"

namespace {

json::Value function_names() {
    json::Array names;
    for (const auto& function : calls::functions<double>) names.emplace_back(function.name);
    return names;
}

// Answers requests. The conventions that came with "functions" hold for the calls after it.
class Server {
  public:
    json::Value reply(const std::string& line) {
        json::Value id;  // null, until the request is understood so far
        try {
            const json::Value parsed = json::parse(line);
            const auto& request = json::get<json::Object>(parsed, "the request");
            if (const json::Value* given = json::find(request, "id")) id = *given;
            return json::Object{{"id", id}, {"result", result(request)}};
        } catch (const std::exception& error) {
            return json::Object{{"id", id}, {"error", error.what()}};
        }
    }

  private:
    json::Value result(const json::Object& request) {
        const auto& function = json::get<std::string>(json::at(request, "function"), "function");
        if (const json::Value* conventions = json::find(request, "conventions"))
            rule_ = calls::rule_of(json::get<json::Object>(*conventions, "conventions"));
        if (function == "functions") return function_names();
        const auto& arguments = json::get<json::Object>(json::at(request, "arguments"), "arguments");
        const auto& dtype = json::get<std::string>(json::at(request, "dtype"), "dtype");
        if (dtype == "float64") return calls::call<double>(function, arguments, rule_);
        if (dtype == "float32") return calls::call<float>(function, arguments, rule_);
        throw std::invalid_argument("dtype is " + dtype + ": this example has float64 and float32");
    }

    copi::LateralRule rule_ = copi::LateralRule::right;
};

// json::write throws for numbers that are not finite; that, too, has to become a reply.
std::string written(const json::Value& reply) {
    try {
        return json::write(reply);
    } catch (const std::exception& error) {
        const auto& id = json::at(json::get<json::Object>(reply, "the reply"), "id");
        return json::write(json::Object{{"id", id}, {"error", error.what()}});
    }
}

void serve(std::istream& in, std::ostream& out) {
    Server server;
    for (std::string line; std::getline(in, line);) out << written(server.reply(line)) << std::endl;  // endl flushes
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count == 1) {
            serve(std::cin, std::cout);
            return 0;
        }
        if (count == 3 && std::string(arguments[1]) == "--vectors")
            return vectors::run(arguments[2], std::cout) ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    std::cerr << "usage: copi [--vectors DIRECTORY]\n";
    return 2;
}
