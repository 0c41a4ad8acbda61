# Nothing warns. MAGEFLOW_WERROR turns a warning into an error: on in the presets, off for somebody else's compiler.
option(MAGEFLOW_WERROR "Treat warnings as errors" OFF)

add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
    -Wcast-qual -Wundef -Wformat=2 -Wno-missing-field-initializers)
if(MAGEFLOW_WERROR)
    add_compile_options(-Werror)
endif()
