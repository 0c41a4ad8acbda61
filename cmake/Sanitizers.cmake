# MAGEFLOW_SANITIZE: what every target is instrumented with, as the compilers spell it ("address,undefined", "thread").
set(MAGEFLOW_SANITIZE "" CACHE STRING "Sanitizers for every target, for example address,undefined or thread")
if(MAGEFLOW_SANITIZE)
    add_compile_options(-fsanitize=${MAGEFLOW_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MAGEFLOW_SANITIZE})
endif()
add_feature_info(sanitizers MAGEFLOW_SANITIZE "instrumented with '${MAGEFLOW_SANITIZE}'")
