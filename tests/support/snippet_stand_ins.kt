// What the Kotlin snippet calls of LiteRT: a runtime that answers what a test told it to.
package org.tensorflow.lite

import java.nio.ByteBuffer

enum class DataType { FLOAT32, INT8, UINT8 }

class Tensor(
    private val name: String, private val type: DataType, private val values: Int,
    private val params: QuantizationParams,
) {
    class QuantizationParams(val scale: Float, val zeroPoint: Int)

    fun name() = name
    fun dataType() = type
    fun numElements() = values
    fun quantizationParams() = params
}

class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(threads: Int): Options = also { check(threads == 1) }
    }

    companion object {
        lateinit var input: Tensor
        lateinit var outputs: List<Tensor>
        var answers = listOf<ByteArray>()
        var given = ByteArray(0)
    }

    init { check(model.isDirect && model.capacity() > 0 && options is Options) }

    fun getInputTensor(index: Int): Tensor = input.also { check(index == 0) }
    val outputTensorCount: Int get() = outputs.size
    fun getOutputTensor(index: Int) = outputs[index]
    fun runForMultipleInputsOutputs(inputs: Array<Any>, into: Map<Int, Any>) {
        val image = inputs.single() as ByteBuffer
        given = ByteArray(image.remaining()).also { image.get(it) }
        for ((index, buffer) in into) (buffer as ByteBuffer).put(answers[index])
    }
    override fun close() = Unit
}
