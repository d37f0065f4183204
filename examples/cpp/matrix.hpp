// Matrices, with what COPI's equations need: A B, A + B, A − B, A ∘ B, Aᵀ, and products with numbers and diagonals.
#pragma once

#include <cfloat>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace copi {

static_assert(FLT_EVAL_METHOD == 0, "float arithmetic has to stay in float: compile for SSE, not for x87");

template <class T>
class Matrix {  // row by row
  public:
    Matrix() = default;
    Matrix(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), entries_(rows * columns) {}

    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }
    T& operator()(std::size_t i, std::size_t j) { return entries_[i * columns_ + j]; }
    const T& operator()(std::size_t i, std::size_t j) const { return entries_[i * columns_ + j]; }

  private:
    std::size_t rows_ = 0, columns_ = 0;
    std::vector<T> entries_;
};

template <class T>
struct Diagonal {
    std::vector<T> entries;
};

inline std::string shape(std::size_t rows, std::size_t columns) {
    return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

template <class T>
void check_shape(const std::string& name, const Matrix<T>& A, std::size_t rows, std::size_t columns) {
    if (A.rows() != rows || A.columns() != columns)
        throw std::invalid_argument(
            name + " has shape " + shape(A.rows(), A.columns()) + ": needs " + shape(rows, columns));
}

template <class T, class Entry>
Matrix<T> matrix_of(std::size_t rows, std::size_t columns, Entry entry) {
    Matrix<T> out(rows, columns);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j) out(i, j) = entry(i, j);
    return out;
}

template <class T, class F>
Matrix<T> mapped(const Matrix<T>& A, F f) {
    return matrix_of<T>(A.rows(), A.columns(), [&](auto i, auto j) { return f(A(i, j)); });
}

template <class T>
Matrix<T> transpose(const Matrix<T>& A) {
    return matrix_of<T>(A.columns(), A.rows(), [&](auto i, auto j) { return A(j, i); });
}

template <class T>
Matrix<T> operator*(const Matrix<T>& A, const Matrix<T>& B) {
    check_shape("the right factor", B, A.columns(), B.columns());
    Matrix<T> out(A.rows(), B.columns());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t k = 0; k < A.columns(); ++k)  // k before j, so that rows of B are read in one piece
            for (std::size_t j = 0; j < B.columns(); ++j) out(i, j) += A(i, k) * B(k, j);
    return out;
}

template <class T>
Matrix<T> operator*(T factor, const Matrix<T>& A) {
    return mapped(A, [&](T entry) { return factor * entry; });
}

template <class T>
Matrix<T> operator*(const Matrix<T>& A, const Diagonal<T>& d) {  // scales columns
    check_shape("the left factor of a diagonal", A, A.rows(), d.entries.size());
    return matrix_of<T>(A.rows(), A.columns(), [&](auto i, auto j) { return A(i, j) * d.entries[j]; });
}

template <class T>
Matrix<T> operator*(const Diagonal<T>& d, const Matrix<T>& A) {  // scales rows
    check_shape("the right factor of a diagonal", A, d.entries.size(), A.columns());
    return matrix_of<T>(A.rows(), A.columns(), [&](auto i, auto j) { return d.entries[i] * A(i, j); });
}

template <class T>
Matrix<T> operator+(const Matrix<T>& A, const Matrix<T>& B) {
    check_shape("the right summand", B, A.rows(), A.columns());
    return matrix_of<T>(A.rows(), A.columns(), [&](auto i, auto j) { return A(i, j) + B(i, j); });
}

template <class T>
Matrix<T> operator-(const Matrix<T>& A) {
    return mapped(A, [](T entry) { return -entry; });
}

template <class T>
Matrix<T> operator-(const Matrix<T>& A, const Matrix<T>& B) {
    return A + -B;  // rounds as A − B does
}

template <class T>
Matrix<T> operator/(const Matrix<T>& A, T divisor) {
    return mapped(A, [&](T entry) { return entry / divisor; });
}

template <class T>
Matrix<T> elementwise(const Matrix<T>& A, const Matrix<T>& B) {  // A ∘ B
    check_shape("the right factor", B, A.rows(), A.columns());
    return matrix_of<T>(A.rows(), A.columns(), [&](auto i, auto j) { return A(i, j) * B(i, j); });
}

}  // namespace copi
